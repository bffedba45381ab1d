/* For liblsl 1.13, which lsl-sys 0.1.1 builds: its Boost asks the preprocessor whether PTHREAD_STACK_MIN is above
 * zero, and since glibc 2.34 that name is a call of sysconf(3). This header stands before the system's for C++
 * (.cargo/config.toml) and gives the constant that it was, the least that Linux takes on x86-64;
 * liblsl asks for no stack size of its own. */
#include_next <pthread.h>
#include <limits.h>
#if defined(__linux__) && defined(PTHREAD_STACK_MIN)
#undef PTHREAD_STACK_MIN
#define PTHREAD_STACK_MIN 16384
#endif
