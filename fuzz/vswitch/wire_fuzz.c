// SPDX-License-Identifier: Apache-2.0
/* A cable whose other side writes whatever it likes, at any moment between two steps of ours. */
#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "test/input.h"
#include "vswitch/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define RING WIRE_RING_BYTES_MIN
#define QUEUES 2u

struct session {
	uint8_t *memory;
	size_t bytes;
	struct wire_ring in, out; /* we take from in, and put into out */
	uint8_t frame[NET_FRAME_BYTES_MAX];
	uint32_t generation;
	struct net_rss rss;
};

static struct wire_control *control_of(struct session *s, enum wire_way way)
{
	return (void *)(s->memory + 2 * WIRE_PAGE_BYTES + way * (WIRE_PAGE_BYTES + RING));
}

static void get(struct session *s)
{
	uint8_t *data = (uint8_t *)control_of(s, WIRE_TO_SWITCH) + WIRE_PAGE_BYTES;
	bool was_broken = s->in.broken;
	struct net_frame f;
	enum wire_status status = wire_get(&s->in, &f);

	CHECK(!was_broken || status == WIRE_BROKEN);
	if (status != WIRE_OK) {
		return;
	}
	const uint8_t *rest = f.rest->base;

	CHECK(f.bytes >= NET_ETHERNET_BYTES && f.bytes <= NET_FRAME_BYTES_MAX);
	CHECK(f.head_bytes == min_u64(f.bytes, NET_HEAD_BYTES));
	CHECK(f.rest_count == 0 || (rest >= data && rest + f.rest->bytes <= data + RING));
	net_frame_copy(&f, 0, s->frame, f.bytes);
	if (net_frame_check(&f) == NULL) {
		uint32_t type;

		net_rss_hash(&s->rss, &f, &type);
	}
	wire_take(&s->in);
}

static void put(struct session *s, uint32_t bytes)
{
	uint32_t head_bytes = (uint32_t)min_u64(bytes, NET_HEAD_BYTES);
	const struct io_vec rest = {s->frame + head_bytes, bytes - head_bytes};
	const struct net_frame f = {.head = s->frame,
				    .head_bytes = head_bytes,
				    .bytes = bytes,
				    .rest = &rest,
				    .rest_count = 1,
				    .tag = NET_TAG_NONE};
	bool was_broken = s->out.broken;
	enum wire_status status = wire_put(&s->out, &f);

	CHECK(!was_broken || status == WIRE_BROKEN);
}

/* The other side: an index, or 8 bytes of a ring or of the first pages. */
static void scribble(struct session *s, struct input *in)
{
	uint8_t what = input_u8(in);
	uint64_t value;
	struct wire_control *c = control_of(s, what & 1);

	input_take(in, &value, sizeof(value));
	switch (what >> 1 & 7) {
	case 0:
		atomic_store(&c->head, value);
		break;
	case 1:
		atomic_store(&c->tail, value);
		break;
	case 2:
		atomic_fetch_add(&c->head, value & 0x1fff8);
		break;
	case 3:
		atomic_fetch_add(&c->tail, value & 0x1fff8);
		break;
	case 4:
		memcpy(s->memory + input_u16(in) % (2 * WIRE_PAGE_BYTES - 8), &value,
		       sizeof(value));
		break;
	case 5: /* where we read next */
		memcpy(s->in.data + (s->in.at & (RING - 1)), &value, sizeof(value));
		break;
	default:
		memcpy(s->in.data + input_u16(in) % (RING / 8) * 8, &value, sizeof(value));
		break;
	}
}

/* The other side as it should be. */
static void send_well(struct session *s, uint32_t bytes)
{
	struct wire_control *c = control_of(s, WIRE_TO_SWITCH);
	uint64_t head = atomic_load(&c->head), offset = head & (RING - 1) & ~UINT64_C(7);
	uint64_t record = align_up(sizeof(struct wire_record) + bytes, 8);

	if (offset + record > RING) {
		store_le32(s->in.data + offset, WIRE_SKIP);
		head += RING - offset;
		offset = 0;
	}
	store_le32(s->in.data + offset, bytes);
	atomic_store(&c->head, head + record);
}

static void step(struct session *s, struct input *in)
{
	unsigned queues;
	uint32_t ring_bytes;

	switch (input_u8(in) % 10) {
	case 0:
		get(s);
		break;
	case 1:
		put(s, input_u16(in) % (NET_FRAME_BYTES_MAX - 14) + 14);
		break;
	case 2:
		wire_show(&s->in);
		wire_show(&s->out);
		break;
	case 3:
		wire_show(&s->in);
		if (wire_sleep(&s->in)) {
			wire_wake(&s->in);
		}
		break;
	case 4:
		wire_show(&s->out);
		if (wire_sleep(&s->out)) {
			wire_wake(&s->out);
		}
		break;
	case 5:
		wire_get_rss(s->memory, QUEUES, &s->generation, &s->rss, &queues);
		break;
	case 6:
		wire_check(s->memory, s->bytes, &queues, &ring_bytes);
		break;
	case 7:
		send_well(s, input_u16(in) + 14u);
		break;
	default:
		scribble(s, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	struct session *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	s->bytes = wire_bytes(QUEUES, RING);
	s->memory = aligned_alloc(WIRE_PAGE_BYTES, s->bytes);
	CHECK(s->memory != NULL);
	memset(s->memory, 0, s->bytes);
	wire_format(s->memory, QUEUES, RING);
	wire_ring_init(&s->in, s->memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	wire_ring_init(&s->out, s->memory, RING, 0, WIRE_TO_WORKER, WIRE_PRODUCER);
	while (in.left != 0) {
		step(s, &in);
	}
	free(s->memory);
	free(s);
	return 0;
}
