// SPDX-License-Identifier: Apache-2.0
/*
 * First process of the guests that bench/kvm times: says that user space is there and sleeps. When the host types a line it goes on with /then, a shell
 * script, where there is one.
 */
#include <unistd.h>

int main(void)
{
	static const char there[] = "bench: userspace\n";
	char *const words[] = {"sh", "/then", NULL}, *const none[] = {NULL};
	char key = 0;

	if (write(STDOUT_FILENO, there, sizeof(there) - 1) != sizeof(there) - 1) {
		return 1;
	}
	while (key != '\n') {
		if (read(STDIN_FILENO, &key, 1) != 1) {
			pause();
		}
	}
	execve("/bin/sh", words, none);
	for (;;) {
		pause();
	}
}
