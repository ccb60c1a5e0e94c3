// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "lib/utf16.h"
#include "rig.h"

static const struct ic_version three = {3, 0};

/* Connected, and the enumeration that begins by itself answered: no items. */
static struct rig *rig_ready(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_message m;

	EXPECT(t, rig_up(r, VSP_IC_KVP));
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT_EQ(t, m.body[0], IC_KVP_ENUMERATE);
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, IC_STATUS_NO_MORE));
	return r;
}

static struct ic_kvp_value *value_in(struct rig_message *m)
{
	return (struct ic_kvp_value *)(void *)(m->body + (m->body[0] == IC_KVP_ENUMERATE ? 8 : 4));
}

static uint32_t utf16(const char *text, uint8_t *ret, size_t capacity)
{
	size_t bytes;

	memset(ret, 0, capacity);
	utf16_encode(text, UTF16_LE, ret, capacity, &bytes);
	return (uint32_t)bytes + 2;
}

static void put_item(struct rig_message *m, const char *key, const char *value)
{
	struct ic_kvp_value *v = value_in(m);

	v->type = IC_KVP_TYPE_SZ;
	v->key_bytes = utf16(key, v->key, sizeof(v->key));
	v->value_bytes = utf16(value, v->value, sizeof(v->value));
}

static uint32_t index_in(const struct rig_message *m)
{
	return load_le32(m->body + 4);
}

/* Answers an enumeration with @count items. */
static void enumerate(struct test *t, struct rig *r, const char *const (*items)[2], unsigned count)
{
	struct rig_message m;

	for (unsigned i = 0; i <= count; i++) {
		EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
		EXPECT_EQ(t, m.header.type, IC_MESSAGE_KVP);
		EXPECT_EQ(t, m.bytes, 8 + sizeof(struct ic_kvp_value));
		EXPECT_EQ(t, m.body[0], IC_KVP_ENUMERATE);
		EXPECT_EQ(t, m.body[1], IC_KVP_POOL_AUTO);
		EXPECT_EQ(t, index_in(&m), i);
		if (i < count) {
			put_item(&m, items[i][0], items[i][1]);
		}
		EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, i < count ? 0 : IC_STATUS_NO_MORE));
	}
}

static const char *const first_items[][2] = {
	{"OSName", "Linux"}, {"NetworkAddressIPv4", "192.0.2.7"}, {"\xc3\xa4", ""}};
static const char *const later_items[][2] = {{"OSName", "Linux 2"}};

/* The items are read when the guest is ready, once a minute, and when somebody asks. */
static void test_items(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct vsp_ic_item *items;
	struct rig_answer a;
	struct rig_message m;

	EXPECT_EQ(t, vsp_ic_kvp_refresh(r->ic, rig_done(&a)), -ENODEV);
	EXPECT(t, rig_up(r, VSP_IC_KVP));
	enumerate(t, r, first_items, ARRAY_LEN(first_items));
	EXPECT_EQ(t, vsp_ic_kvp_items(r->ic, &items), ARRAY_LEN(first_items));
	for (unsigned i = 0; i < ARRAY_LEN(first_items); i++) {
		EXPECT(t, strcmp(items[i].key, first_items[i][0]) == 0);
		EXPECT(t, strcmp(items[i].value, first_items[i][1]) == 0);
	}
	EXPECT_EQ(t, r->changes[VSP_IC_KVP], 3); /* opened, ready, items */
	rig_pass(r, 59 * RIG_S);
	EXPECT(t, !rig_take(r, VSP_IC_KVP, &m));
	rig_pass(r, RIG_S);
	enumerate(t, r, first_items, ARRAY_LEN(first_items));
	EXPECT_EQ(t, r->changes[VSP_IC_KVP], 3); /* the same */
	EXPECT_EQ(t, vsp_ic_kvp_refresh(r->ic, rig_done(&a)), 0);
	rig_run(r);
	enumerate(t, r, later_items, ARRAY_LEN(later_items));
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	EXPECT_EQ(t, vsp_ic_kvp_items(r->ic, &items), 1);
	EXPECT(t, strcmp(items[0].value, "Linux 2") == 0);
	EXPECT_EQ(t, r->changes[VSP_IC_KVP], 4);
	EXPECT(t, rig_close(r, VSP_IC_KVP));
	EXPECT_EQ(t, vsp_ic_kvp_items(r->ic, &items), 0);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* Linux's driver without its daemon: asked again after a while; what was known stays. */
static void test_no_daemon(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct vsp_ic_item *items;
	struct rig_message m;
	struct rig_answer a;

	EXPECT(t, rig_up(r, VSP_IC_KVP));
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, IC_STATUS_FAIL));
	EXPECT(t, !rig_take(r, VSP_IC_KVP, &m));
	rig_pass(r, 10 * RIG_S);
	enumerate(t, r, first_items, 2);
	EXPECT_EQ(t, vsp_ic_kvp_refresh(r->ic, rig_done(&a)), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	put_item(&m, "half", "way");
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, IC_STATUS_FAIL));
	EXPECT_EQ(t, a.result, VSP_IC_REFUSED);
	EXPECT_EQ(t, a.status, IC_STATUS_FAIL);
	EXPECT_EQ(t, vsp_ic_kvp_items(r->ic, &items), 2);
	rig_destroy(r);
}

/* Items that make no sense are left out; a guest that never stops is stopped. */
static void test_hostile_items(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct vsp_ic_item *items;
	struct rig_message m;
	unsigned i;

	EXPECT(t, rig_up(r, VSP_IC_KVP));
	for (i = 0; rig_take(r, VSP_IC_KVP, &m); i++) {
		struct ic_kvp_value *v = value_in(&m);

		EXPECT_EQ(t, index_in(&m), i);
		put_item(&m, "key", "value");
		switch (i) {
		case 0:
			v->key_bytes = sizeof(v->key) + 2;
			break;
		case 1:
			v->value_bytes = UINT32_MAX;
			break;
		case 2:
			v->type = 7;
			break;
		case 3:
			store_le16(v->key, 0xd800); /* half a pair */
			break;
		case 4:
			v->key_bytes = 0;
			break;
		case 5:
			v->value_bytes = 5;
			break;
		case 6:
			m.bytes = 100;
			m.pipe.bytes = sizeof(m.header) + 100;
			break;
		case 7:
			v->type = IC_KVP_TYPE_U32;
			store_le32(v->value, 4000000000u);
			break;
		case 8:
			v->type = IC_KVP_TYPE_U64;
			store_le64(v->value, UINT64_MAX);
			break;
		case 9: /* full to the last unit, without a NUL */
			memset(v->key, 0x41, sizeof(v->key));
			memset(v->value, 0x41, sizeof(v->value));
			v->key_bytes = sizeof(v->key);
			v->value_bytes = sizeof(v->value);
			break;
		default:
			break;
		}
		EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	}
	EXPECT_EQ(t, i, IC_KVP_ITEMS);
	EXPECT_EQ(t, vsp_ic_kvp_items(r->ic, &items), IC_KVP_ITEMS - 7);
	EXPECT(t, strcmp(items[0].value, "4000000000") == 0);
	EXPECT(t, strcmp(items[1].value, "18446744073709551615") == 0);
	EXPECT_EQ(t, strlen(items[2].value), 3 * 1024); /* U+4141 is three bytes */
	EXPECT_EQ(t, rig_state(r, VSP_IC_KVP), VSP_IC_READY);
	EXPECT(t, r->owner.logs >= 3);
	rig_destroy(r);
}

static void test_set_and_delete(struct test *t)
{
	struct rig *r = rig_ready(t);
	struct rig_answer a, b, c;
	struct rig_message m;
	const struct ic_kvp_value *v;

	EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, "Ab", "xyz", rig_done(&a)), 0);
	EXPECT_EQ(t, vsp_ic_kvp_delete(r->ic, VSP_IC_POOL_EXTERNAL, "Ab", rig_done(&b)), 0);
	EXPECT_EQ(t, vsp_ic_kvp_get(r->ic, VSP_IC_POOL_GUEST, "Ab", rig_done(&c)), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT_EQ(t, m.body[0], IC_KVP_SET);
	EXPECT_EQ(t, m.body[1], IC_KVP_POOL_EXTERNAL);
	EXPECT_EQ(t, m.bytes, 4 + sizeof(*v));
	v = value_in(&m);
	EXPECT_EQ(t, v->type, IC_KVP_TYPE_SZ);
	EXPECT_EQ(t, v->key_bytes, 6);
	EXPECT_MEM(t, v->key, "A\0b\0\0\0", 6);
	EXPECT_EQ(t, v->value_bytes, 8);
	EXPECT_MEM(t, v->value, "x\0y\0z\0\0\0", 8);
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, b.count, 0);

	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT_EQ(t, m.body[0], IC_KVP_DELETE);
	EXPECT_EQ(t, m.bytes, 4 + 4 + 512);
	EXPECT_EQ(t, load_le32(m.body + 4), 6);
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, IC_STATUS_NO_MORE));
	EXPECT_EQ(t, b.result, VSP_IC_REFUSED);
	EXPECT_EQ(t, b.status, IC_STATUS_NO_MORE);

	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT_EQ(t, m.body[0], IC_KVP_GET);
	EXPECT_EQ(t, m.body[1], IC_KVP_POOL_GUEST);
	put_item(&m, "Ab", "there");
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	EXPECT_EQ(t, c.result, VSP_IC_DONE);
	rig_destroy(r);
}

struct reader {
	struct rig *r;
	char value[64];
	struct vsp_ic_ip ip;
	enum vsp_ic_result result;
	unsigned count;
};

static void note(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	struct reader *reader = ctx;

	reader->count++;
	reader->result = result;
	snprintf(reader->value, sizeof(reader->value), "%s", vsp_ic_kvp_value(reader->r->ic));
	reader->ip = *vsp_ic_kvp_ip(reader->r->ic);
}

static void test_get(struct test *t)
{
	struct rig *r = rig_ready(t);
	struct reader reader = {.r = r};
	const struct vsp_ic_done done = {.fn = note, .ctx = &reader};
	struct rig_message m;

	EXPECT_EQ(t, vsp_ic_kvp_get(r->ic, VSP_IC_POOL_GUEST, "k", done), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	put_item(&m, "k", "there");
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	EXPECT_EQ(t, reader.result, VSP_IC_DONE);
	EXPECT(t, strcmp(reader.value, "there") == 0);
	EXPECT_EQ(t, vsp_ic_kvp_get(r->ic, VSP_IC_POOL_GUEST, "k", done), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	value_in(&m)->value_bytes = 3;
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	EXPECT_EQ(t, reader.result, VSP_IC_REFUSED);
	EXPECT_EQ(t, r->owner.logs, 1);
	rig_destroy(r);
}

static void test_refused_texts(struct test *t)
{
	static char key[300], value[1100];
	struct rig *r = rig_ready(t);
	struct rig_answer a;

	memset(key, 'k', 255);
	memset(value, 'v', 1023);
	EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, key, value, rig_done(&a)), 0);
	key[255] = 'k';
	EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, key, "", rig_done(&a)), -EINVAL);
	EXPECT_EQ(t, vsp_ic_kvp_delete(r->ic, VSP_IC_POOL_EXTERNAL, key, rig_done(&a)), -EINVAL);
	value[1023] = 'v';
	EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, "k", value, rig_done(&a)),
		  -EINVAL);
	EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, "", "v", rig_done(&a)), -EINVAL);
	EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, "\xff", "v", rig_done(&a)),
		  -EINVAL);
	EXPECT_EQ(t, vsp_ic_kvp_get(r->ic, VSP_IC_POOL_EXTERNAL, "", rig_done(&a)), -EINVAL);
	rig_destroy(r);
}

/* Sixteen may wait; each has its own time; when the guest goes, all hear so. */
static void test_queue(struct test *t)
{
	struct rig *r = rig_ready(t);
	struct rig_answer a[IC_KVP_JOBS + 1];

	for (unsigned i = 0; i <= IC_KVP_JOBS; i++) {
		EXPECT_EQ(t, vsp_ic_kvp_set(r->ic, VSP_IC_POOL_EXTERNAL, "k", "v", rig_done(&a[i])),
			  i < IC_KVP_JOBS ? 0 : -EBUSY);
	}
	EXPECT_EQ(t, vsp_ic_kvp_refresh(r->ic, rig_done(&a[IC_KVP_JOBS])), -EBUSY);
	rig_run(r);
	rig_pass(r, 30 * RIG_S);
	EXPECT_EQ(t, a[0].result, VSP_IC_TIMEOUT);
	EXPECT_EQ(t, a[0].count, 1);
	EXPECT_EQ(t, a[1].count, 0);
	EXPECT(t, rig_close(r, VSP_IC_KVP));
	for (unsigned i = 1; i < IC_KVP_JOBS; i++) {
		EXPECT_EQ(t, a[i].count, 1);
		EXPECT_EQ(t, a[i].result, VSP_IC_GONE);
	}
	rig_destroy(r);
}

/* ---- Addresses ---- */

static const struct guid adapter = GUID(0x12345678, 0x9abc, 0xdef0, 1, 2, 3, 4, 5, 6, 7, 8);
static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 0xab, 0xcd, 0xef};

static void expect_text(struct test *t, const uint8_t *text, size_t bytes, const char *want)
{
	char got[2048];

	EXPECT(t, utf16_decode_padded(text, bytes, UTF16_LE, got, sizeof(got)));
	EXPECT(t, strcmp(got, want) == 0);
}

static void test_set_ip(struct test *t)
{
	struct rig *r = rig_ready(t);
	const struct vsp_ic_ip ip = {.ipv4 = true,
				     .addresses = "192.0.2.7;192.0.2.8",
				     .subnets = "255.255.255.0;255.255.255.0",
				     .gateways = "192.0.2.1",
				     .dns = "192.0.2.53"};
	struct rig_answer a;
	struct rig_message m;
	const struct ic_kvp_ip *body = (const void *)(m.body + IC_KVP_IP_OFFSET);

	EXPECT_EQ(t, vsp_ic_kvp_set_ip(r->ic, &adapter, &ip, rig_done(&a)), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT_EQ(t, m.body[0], IC_KVP_SET_IP);
	EXPECT_EQ(t, m.bytes, 2 + 7426);
	EXPECT_EQ(t, body->family, 1);
	EXPECT_EQ(t, body->dhcp, 0);
	expect_text(t, body->adapter, sizeof(body->adapter),
		    "{12345678-9abc-def0-0102-030405060708}");
	expect_text(t, body->addresses, sizeof(body->addresses), ip.addresses);
	expect_text(t, body->subnets, sizeof(body->subnets), ip.subnets);
	expect_text(t, body->gateways, sizeof(body->gateways), ip.gateways);
	expect_text(t, body->dns, sizeof(body->dns), ip.dns);
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
	EXPECT_EQ(t, a.result, VSP_IC_DONE);
	rig_destroy(r);
}

static void test_get_ip(struct test *t)
{
	struct rig *r = rig_ready(t);
	struct reader reader = {.r = r};
	const struct vsp_ic_done done = {.fn = note, .ctx = &reader};
	struct rig_message m;
	struct ic_kvp_ip *body = (void *)(m.body + IC_KVP_IP_OFFSET);

	for (unsigned round = 0; round < 2; round++) {
		EXPECT_EQ(t, vsp_ic_kvp_get_ip(r->ic, mac, done), 0);
		rig_run(r);
		EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
		EXPECT_EQ(t, m.body[0], IC_KVP_GET_IP);
		expect_text(t, body->adapter, sizeof(body->adapter), "00:15:5D:AB:CD:EF");
		body->family = 3;
		body->dhcp = 1;
		utf16("192.0.2.7;2001:db8::7", body->addresses, sizeof(body->addresses));
		if (round == 1) {
			store_le16(body->dns, 0xdc00);
		}
		EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, 0));
		EXPECT_EQ(t, reader.count, round + 1);
		EXPECT_EQ(t, reader.result, round == 0 ? VSP_IC_DONE : VSP_IC_REFUSED);
	}
	EXPECT(t, reader.ip.ipv4 && reader.ip.ipv6 && reader.ip.dhcp);
	EXPECT(t, strcmp(reader.ip.addresses, "192.0.2.7;2001:db8::7") == 0);
	EXPECT_EQ(t, r->owner.logs, 1);
	rig_destroy(r);
}

/* Older guests cannot. */
static void test_ip_versions(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct vsp_ic_ip ip = {.ipv4 = true};
	struct rig_answer a;

	EXPECT(t, rig_connect(r, VERSION_WIN10));
	EXPECT_EQ(t, vsp_ic_kvp_set_ip(r->ic, &adapter, &ip, rig_done(&a)), -ENODEV);
	EXPECT(t, rig_open(r, VSP_IC_KVP));
	EXPECT(t, rig_negotiate(r, VSP_IC_KVP, three, three));
	EXPECT_EQ(t, vsp_ic_kvp_set_ip(r->ic, &adapter, &ip, rig_done(&a)), -ENOTSUP);
	EXPECT_EQ(t, vsp_ic_kvp_get_ip(r->ic, mac, rig_done(&a)), -ENOTSUP);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_items),	   TEST(test_no_daemon), TEST(test_hostile_items),
		TEST(test_set_and_delete), TEST(test_get),	 TEST(test_refused_texts),
		TEST(test_queue),	   TEST(test_set_ip),	 TEST(test_get_ip),
		TEST(test_ip_versions),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
