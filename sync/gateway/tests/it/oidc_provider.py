"""An OpenID Connect provider (oidc-provider-mock, on Authlib) on a free port of loopback.

As it comes it takes any client and no PKCE. Here clients register, and Authlib's own PKCE is switched on.
"""

import sys
import warnings

warnings.simplefilter("ignore")

from authlib.integrations import flask_oauth2  # noqa: E402
from authlib.oauth2.rfc7636 import CodeChallenge  # noqa: E402
import oidc_provider_mock._app as provider  # noqa: E402
import werkzeug.serving  # noqa: E402

challenges = {}


class Challenge(CodeChallenge):
    def get_authorization_code_challenge(self, code):
        return challenges[code.code][0]

    def get_authorization_code_challenge_method(self, code):
        return challenges[code.code][1]


save = provider.AuthorizationCodeGrant.save_authorization_code


def save_with_challenge(self, code, request):
    asked = request.payload.data
    challenges[code] = (asked["code_challenge"], asked["code_challenge_method"])
    save(self, code, request)


provider.AuthorizationCodeGrant.save_authorization_code = save_with_challenge

register = flask_oauth2.AuthorizationServer.register_grant


def register_with_challenge(self, grant, extensions=None):
    if grant is provider.AuthorizationCodeGrant:
        extensions = [*extensions, Challenge(required=True)]
    register(self, grant, extensions)


flask_oauth2.AuthorizationServer.register_grant = register_with_challenge

app = provider.app(require_client_registration=True, require_nonce=True)
server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
print(f"listening on {server.server_port}", flush=True)
sys.stdout.close()
server.serve_forever()
