// SPDX-License-Identifier: Apache-2.0
/* Guest memory behind GPA-direct packets, in both of the forms that Linux uses. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

struct world {
	struct fake_guest *g;
	struct fake_device d;
	struct fake_guest_channel ch;
	struct vmbus_packet p;
	uint64_t buf[512];
	struct io_vec vec[16];
};

static void start(struct test *t, struct world *w)
{
	struct guid instance = fake_device_instance(1);

	memset(w, 0, sizeof(*w));
	w->g = fake_guest_create(NULL);
	EXPECT_EQ(t, fake_device_offer(w->g, &w->d, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(w->g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(w->g));
	EXPECT_EQ(t, fake_guest_open(w->g, fake_guest_find(w->g, &instance, 0), 4, 4, 0, &w->ch),
		  0);
}

static void end(struct world *w)
{
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
}

static void send_multipage(struct test *t, struct world *w, uint32_t bytes, uint32_t offset,
			   const uint64_t *pfns)
{
	EXPECT(t, fake_guest_send_gpa(&w->ch, 3, bytes, offset, pfns, "command", 8));
	EXPECT_EQ(t, vmbus_ring_read(w->d.channels[0], w->buf, sizeof(w->buf), &w->p),
		  VMBUS_RING_OK);
	EXPECT_EQ(t, w->p.bytes, 8);
	EXPECT_MEM(t, w->p.data, "command", 8);
}

static int map(struct world *w, size_t need, uint32_t rights, unsigned max)
{
	memset(w->vec, 0, sizeof(w->vec));
	return vmbus_ranges_map(w->d.channels[0], &w->p, need, rights, w->vec, max);
}

static uint8_t *page(struct world *w, uint64_t pfn)
{
	return fake_guest_page(w->g, pfn);
}

static void test_one_range(struct test *t)
{
	const uint64_t pfns[] = {100, 101, 102, 200, 50, 51};
	struct world w;

	start(t, &w);
	send_multipage(t, &w, 5 * 4096, 512, pfns);
	EXPECT_EQ(t, w.p.range_count, 1);
	EXPECT_EQ(t, map(&w, 5 * 4096, GMEM_R, 16), 3); /* neighbours are one */
	EXPECT(t, w.vec[0].base == page(&w, 100) + 512 && w.vec[0].bytes == 3 * 4096 - 512);
	EXPECT(t, w.vec[1].base == page(&w, 200) && w.vec[1].bytes == 4096);
	EXPECT(t, w.vec[2].base == page(&w, 50) && w.vec[2].bytes == 4096 + 512);
	EXPECT_EQ(t, map(&w, 3 * 4096 - 512, GMEM_R, 1), 1); /* less than there is */
	EXPECT_EQ(t, w.vec[0].bytes, 3 * 4096 - 512);
	EXPECT_EQ(t, map(&w, 1, GMEM_R, 1), 1);
	EXPECT_EQ(t, w.vec[0].bytes, 1);
	EXPECT_EQ(t, map(&w, 0, GMEM_R, 0), 0);
	EXPECT_EQ(t, (uint32_t)map(&w, 5 * 4096 + 1, GMEM_R, 16), (uint32_t)-EINVAL);
	EXPECT_EQ(t, (uint32_t)map(&w, 5 * 4096, GMEM_R, 2), (uint32_t)-E2BIG);
	EXPECT_EQ(t, (uint32_t)map(&w, 1, GMEM_R, 0), (uint32_t)-E2BIG);
	end(&w);
}

/* {length, offset, frame} over and over, as vmbus_sendpacket_pagebuffer. */
static void test_many_ranges(struct test *t)
{
	const uint32_t header[] = {0xffffffff, 4, 100, 3996, 10, 0,    4096, 0,
				   11,	       0, 0,   0,    8,	 4088, 20,   0};
	struct world w;

	start(t, &w);
	EXPECT(t, fake_guest_write(&w.ch, VMBUS_PACKET_DATA_USING_GPA_DIRECT, true, 3, header,
				   sizeof(header), "x", 1));
	EXPECT_EQ(t, vmbus_ring_read(w.d.channels[0], w.buf, sizeof(w.buf), &w.p), VMBUS_RING_OK);
	EXPECT_EQ(t, w.p.range_count, 4);
	EXPECT_EQ(t, map(&w, 4204, GMEM_W, 16), 2);
	EXPECT(t, w.vec[0].base == page(&w, 10) + 3996 && w.vec[0].bytes == 4196);
	EXPECT(t, w.vec[1].base == page(&w, 20) + 4088 && w.vec[1].bytes == 8);
	end(&w);
}

static void test_rights(struct test *t)
{
	const uint64_t pfns[] = {100, 101}, nowhere[] = {100, 4096};
	const uint64_t huge[] = {UINT64_C(1) << 52 | 100, UINT64_MAX};
	struct world w;

	start(t, &w);
	gmem_protect(&w.g->gm, 101, GMEM_R);
	send_multipage(t, &w, 8192, 0, pfns);
	EXPECT_EQ(t, map(&w, 8192, GMEM_R, 16), 1);
	EXPECT_EQ(t, (uint32_t)map(&w, 8192, GMEM_W, 16), (uint32_t)-EFAULT);
	EXPECT_EQ(t, map(&w, 4096, GMEM_W, 16), 1);
	send_multipage(t, &w, 8192, 0, nowhere);
	EXPECT_EQ(t, (uint32_t)map(&w, 8192, GMEM_R, 16), (uint32_t)-EFAULT);
	send_multipage(t, &w, 8192, 0, huge); /* must not wrap to page 100 */
	EXPECT_EQ(t, (uint32_t)map(&w, 1, GMEM_R, 16), (uint32_t)-EFAULT);
	end(&w);
}

static void test_touch(struct test *t)
{
	const uint64_t pfns[] = {100, 102, 104};
	uint64_t bitmap[64];
	struct world w;

	start(t, &w);
	send_multipage(t, &w, 3 * 4096 - 100, 100, pfns);
	gmem_dirty_take(&w.g->gm, 0, 4096, bitmap);
	vmbus_ranges_touch(w.d.channels[0], &w.p, 4096 - 100 + 1);
	gmem_dirty_take(&w.g->gm, 0, 4096, bitmap);
	EXPECT_EQ(t, bitmap[100 / 64] >> (100 % 64) & 0x1f, 5);
	vmbus_ranges_touch(w.d.channels[0], &w.p, SIZE_MAX); /* all there is */
	gmem_dirty_take(&w.g->gm, 0, 4096, bitmap);
	EXPECT_EQ(t, bitmap[100 / 64] >> (100 % 64) & 0x1f, 0x15);
	end(&w);
}

static void test_packet_without_ranges(struct test *t)
{
	struct world w;

	start(t, &w);
	EXPECT(t, fake_guest_send(&w.ch, 3, "x", 1));
	EXPECT_EQ(t, vmbus_ring_read(w.d.channels[0], w.buf, sizeof(w.buf), &w.p), VMBUS_RING_OK);
	EXPECT_EQ(t, w.p.range_count, 0);
	EXPECT_EQ(t, map(&w, 0, GMEM_R, 16), 0);
	EXPECT_EQ(t, (uint32_t)map(&w, 1, GMEM_R, 16), (uint32_t)-EINVAL);
	vmbus_ranges_touch(w.d.channels[0], &w.p, 100);
	end(&w);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_one_range), TEST(test_many_ranges),		TEST(test_rights),
		TEST(test_touch),     TEST(test_packet_without_ranges),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
