"""Reads a Bluetooth device through BrainFlow for some seconds; prints microvolts as JSON."""

import json
import sys
import time

from brainflow.board_shim import BoardIds, BoardShim, BrainFlowInputParams

name, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
board_id = BoardIds[name].value
BoardShim.disable_board_logger()
parameters = BrainFlowInputParams()
parameters.mac_address = address
parameters.timeout = 6
board = BoardShim(board_id, parameters)
board.prepare_session()
board.start_stream(450_000)
time.sleep(seconds)
board.stop_stream()
data = board.get_board_data()
board.release_session()
print(json.dumps({"microvolts": [data[channel].tolist() for channel in BoardShim.get_eeg_channels(board_id)]}))
