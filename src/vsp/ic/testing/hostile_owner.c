// SPDX-License-Identifier: Apache-2.0
/* What the owner does meanwhile: asks for everything, lets time pass, moves to another process. */
#include <errno.h>
#include <string.h>

#include "hostile_player.h"
#include "lib/bits.h"
#include "lib/check.h"

#define ASKS 10u

static void ended(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	struct player *p = ctx;

	p->ended++;
	CHECK(p->ended <= p->result.asked);
	CHECK(result <= VSP_IC_GONE);
}

static int read_source(void *ctx, uint64_t offset, void *buf, uint32_t bytes)
{
	memset(buf, (int)offset, bytes);
	return offset > 40000 ? -EIO : (int)bytes;
}

static int ask(struct vsp_ic *ic, unsigned what, uint8_t n, struct vsp_ic_done done)
{
	const struct vsp_ic_shutdown how = {.what = (enum vsp_ic_power)(n % 3), .text = "now"};
	const struct guid instance = {{0}};
	const uint8_t mac[6] = {0};
	const struct vsp_ic_ip ip = {.ipv4 = true, .addresses = "192.0.2.7"};
	const struct vsp_ic_copy copy = {
		.folder = "/tmp", .name = "file", .bytes = (uint64_t)n * 300, .read = read_source};

	switch (what) {
	case 0:
		return vsp_ic_shutdown(ic, &how, done);
	case 1:
		return vsp_ic_kvp_refresh(ic, done);
	case 2:
		return vsp_ic_kvp_set(ic, VSP_IC_POOL_EXTERNAL, "key", "value", done);
	case 3:
		return vsp_ic_kvp_delete(ic, VSP_IC_POOL_EXTERNAL, "key", done);
	case 4:
		return vsp_ic_kvp_get(ic, VSP_IC_POOL_GUEST, "key", done);
	case 5:
		return vsp_ic_kvp_set_ip(ic, &instance, &ip, done);
	case 6:
		return vsp_ic_kvp_get_ip(ic, mac, done);
	case 7:
		return vsp_ic_freeze(ic, n * RIG_S, done);
	case 8:
		return vsp_ic_thaw(ic, done);
	default:
		return vsp_ic_copy(ic, &copy, done);
	}
}

void player_do_ask(struct player *p)
{
	const struct vsp_ic_done done = {.fn = ended, .ctx = p};
	unsigned what = (unsigned)player_take(p, 1) % ASKS;
	uint8_t n = (uint8_t)player_take(p, 1);

	p->result.asked += ask(p->r->ic, what, n, done) == 0;
}

void player_do_time(struct player *p)
{
	uint8_t n = (uint8_t)player_take(p, 1);

	if (n == 0xff) {
		vsp_ic_time_jump(p->r->ic);
	}
	rig_pass(p->r, n % 64 * RIG_S);
}

/* A guest that has spoiled its ring words may not survive it. */
void player_do_replace(struct player *p)
{
	struct rig *r = p->r;
	size_t bytes = rig_save(r, p->state, sizeof(p->state));

	CHECK(bytes <= sizeof(p->state));
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		for (unsigned k = 0; k < IC_VIOLATION_KINDS; k++) {
			p->violations += r->ic->channels[i].violations[k];
		}
	}
	rig_replace(r);
	CHECK(p->ended == p->result.asked);
	p->over = !rig_restore(r, p->state, bytes);
}
