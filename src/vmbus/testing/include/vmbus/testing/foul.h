/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guests do on rings by nobody's rules, by a script of bytes: for the hostile guests that tests and fuzz targets of service providers play.
 * On one thread, with the host.
 */
#ifndef VMBUS_TESTING_FOUL_H
#define VMBUS_TESTING_FOUL_H

#include "test/input.h"
#include "vmbus/testing/guest.h"

#define FOUL_CHANNELS_MAX 8u

struct foul {
	struct input in; /* the script */
	struct fake_guest *g;
	struct fake_guest_channel *channels;
	unsigned count;	  /* of them */
	unsigned choices; /* of the byte that picks one; what is too much is channel 0 */
	const uint32_t *edges;
	unsigned edge_count;
	void (*run)(void *ctx); /* the host takes what there is */
	void *ctx;
	uint32_t write[FOUL_CHANNELS_MAX]; /* our index, whatever the control page says */
	uint64_t transaction;		   /* of the next packet */
	uint64_t sent;			   /* packets */
};

/* The script's next bytes as a number; zeros after its end. */
uint64_t foul_take(struct foul *f, size_t bytes);
/* One of the numbers at which things change, or any. */
uint32_t foul_edge(struct foul *f);
/* A channel that has a ring; -1: the one that was picked has none. */
int foul_pick(struct foul *f);
/* From now on it writes where a well-behaved driver left off. */
void foul_take_over(struct foul *f);

/* @d, @header and payload, if the ring has room for them; if not, what came from the host is thrown away first. */
void foul_send(struct foul *f, unsigned channel, const struct vmbus_packet_descriptor *d,
	       const void *header, size_t header_bytes, const void *payload, size_t bytes);
/* A packet that keeps to the rules of rings, with the next transaction. */
void foul_send_good(struct foul *f, unsigned channel, uint16_t type, const void *header,
		    size_t header_bytes, const void *payload, size_t bytes);

/* Steps: any packet at all; a word of a control page; bytes in a ring; everything from the host thrown away. */
void foul_do_raw(struct foul *f);
void foul_do_ring_word(struct foul *f);
void foul_do_ring_bytes(struct foul *f);
void foul_do_drain(struct foul *f);

/* A ring of @pages for an offer, whatever was there before; while there is memory for that. NULL @offer: nothing. */
void foul_open(struct foul *f, unsigned channel, const struct fake_guest_offer *offer,
	       uint32_t pages);
/* The messages that close a channel that has a ring. */
void foul_do_close(struct foul *f);
/* The bus is left, reset, connected: as the script says. */
void foul_do_connect(struct foul *f);

/* The step foul_do_@name as one of a `struct player`, which has a struct foul. */
#define FOUL_STEP(name)                                                                            \
	static void do_##name(struct player *p)                                                    \
	{                                                                                          \
		foul_do_##name(&p->foul);                                                          \
	}

/* ---- Scripts for tests ---- */

/* The next of a row of numbers that is the same in every run; @state is not 0. */
uint64_t foul_random(uint64_t *state);
/*
 * The script of that number. Its first byte takes the @themes (4 or 8) in turn, and beginnings (its upper bits), most of them with everything
 * open; a third of the bytes is small, so that numbers are often near what is there.
 */
void foul_script(uint32_t number, unsigned themes, uint8_t *script, size_t bytes);

#endif
