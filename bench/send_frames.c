// SPDX-License-Identifier: Apache-2.0
/*
 * Sends frames on a host interface as fast as one processor can, for a comparison of what lies behind it.
 *
 *	send_frames INTERFACE DESTINATION-MAC BYTES COUNT
 *
 * Prints the nanoseconds of processor time (this thread's, with the kernel's work that it sets off) per frame.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define BATCH 64u
#define FRAME_MAX 1514u

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_ifindex = (int)if_nametoindex(name)};
	const int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static uint8_t frame[FRAME_MAX];
	struct iovec iov = {frame, 0};
	struct mmsghdr batch[BATCH];
	uint8_t *m = frame;

	if (argc != 5 || sscanf(argv[2], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2],
				&m[3], &m[4], &m[5]) != 6) {
		fprintf(stderr, "usage: send_frames INTERFACE DESTINATION-MAC BYTES COUNT\n");
		return 2;
	}
	unsigned long bytes = strtoul(argv[3], NULL, 10), count = strtoul(argv[4], NULL, 10);
	int fd = open_interface(argv[1]);

	memcpy(frame + 6, "\x02\0\0\0\0\x01", 6);
	frame[12] = 0x88; /* an ethertype for experiments: nobody answers */
	frame[13] = 0xb5;
	iov.iov_len = bytes < 14 ? 14 : bytes > FRAME_MAX ? FRAME_MAX : bytes;
	for (unsigned i = 0; i < BATCH; i++) {
		batch[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	}
	double start = now_ns();

	for (unsigned long sent = 0; sent < count;) {
		int n = sendmmsg(fd, batch, BATCH, 0);

		if (n < 0) {
			perror("sendmmsg");
			return 1;
		}
		sent += (unsigned long)n;
	}
	printf("%.1f\n", (now_ns() - start) / (double)count);
	return 0;
}
