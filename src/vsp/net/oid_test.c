// SPDX-License-Identifier: Apache-2.0
/* Every OID, byte by byte as Linux's driver sends and reads them. */
#include "test/test.h"

#include "rig.h"

static struct rig *start(struct test *t, const struct rig_config *config, uint32_t version)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_start(r, version, 1500));
	return r;
}

static uint32_t query_u32(struct rig *r, uint32_t oid)
{
	uint32_t value = 0xdeadbeef, bytes = 0;

	return rig_query(r, oid, NULL, 0, &value, sizeof(value), &bytes) == 0 && bytes == 4
		       ? value
		       : 0xdeadbeef;
}

static void test_values(struct test *t)
{
	static const struct {
		uint32_t oid, value;
	} cases[] = {
		{OID_GEN_HARDWARE_STATUS, 0},
		{OID_GEN_MEDIA_SUPPORTED, 0},
		{OID_GEN_MEDIA_IN_USE, 0},
		{OID_GEN_PHYSICAL_MEDIUM, 0},
		{OID_GEN_MAXIMUM_LOOKAHEAD, 1500},
		{OID_GEN_CURRENT_LOOKAHEAD, 1500},
		{OID_GEN_MAXIMUM_FRAME_SIZE, 1500},
		{OID_GEN_MAXIMUM_TOTAL_SIZE, 1514},
		{OID_GEN_TRANSMIT_BLOCK_SIZE, 1514},
		{OID_GEN_RECEIVE_BLOCK_SIZE, 1514},
		{OID_GEN_TRANSMIT_BUFFER_SPACE, 21 * 6144},
		{OID_GEN_RECEIVE_BUFFER_SPACE, 151 * 1728},
		{OID_GEN_LINK_SPEED, 100000000},
		{OID_GEN_MEDIA_CONNECT_STATUS, 0},
		{OID_GEN_VENDOR_ID, 0xffffff},
		{OID_GEN_MAXIMUM_SEND_PACKETS, 8},
		{OID_GEN_CURRENT_PACKET_FILTER, 0},
		{OID_GEN_VLAN_ID, 0},
		{OID_GEN_XMIT_OK, 0},
		{OID_GEN_RCV_ERROR, 0},
		{OID_802_3_MAXIMUM_LIST_SIZE, 32},
		{OID_802_3_MAC_OPTIONS, 0},
		{OID_802_3_XMIT_MORE_COLLISIONS, 0},
	};
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		EXPECT_EQ(t, query_u32(r, cases[i].oid), cases[i].value);
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* All that is listed is there for a query or a set; nothing else is. */
static void test_supported(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint32_t list[200], bytes, answer[300], n;

	EXPECT_EQ(t, rig_query(r, OID_GEN_SUPPORTED_LIST, NULL, 0, list, sizeof(list), &bytes), 0);
	EXPECT(t, bytes % 4 == 0 && bytes > 50 * 4);
	for (uint32_t i = 0; i < bytes / 4; i++) {
		uint32_t q = rig_query(r, list[i], NULL, 0, answer, sizeof(answer), &n);
		uint32_t s = rig_set(r, list[i], NULL, 0);

		EXPECT(t, q == 0 || (q == RNDIS_STATUS_NOT_SUPPORTED &&
				     s != RNDIS_STATUS_NOT_SUPPORTED));
		EXPECT(t, s == 0 || s == RNDIS_STATUS_NOT_SUPPORTED ||
				  s == RNDIS_STATUS_INVALID_LENGTH);
		for (uint32_t k = 0; k < i; k++) {
			EXPECT(t, list[k] != list[i]);
		}
	}
	EXPECT_EQ(t, rig_query(r, 0x12345678, NULL, 0, answer, 4, &n), RNDIS_STATUS_INVALID_OID);
	EXPECT_EQ(t, rig_set(r, 0x12345678, answer, 4), RNDIS_STATUS_INVALID_OID);
	rig_destroy(r);
}

static void test_names_and_link(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t a[256];
	uint32_t bytes;
	uint64_t speed[2];
	struct ndis_link_state state;

	EXPECT_EQ(t, rig_query(r, OID_GEN_FRIENDLY_NAME, NULL, 0, a, sizeof(a), &bytes), 0);
	EXPECT_EQ(t, bytes, 10);
	EXPECT_MEM(t, a, "n\0e\0t\0000\0\0\0", 10);
	EXPECT_EQ(t, rig_query(r, OID_GEN_VENDOR_DESCRIPTION, NULL, 0, a, sizeof(a), &bytes), 0);
	EXPECT_EQ(t, a[bytes - 1], 0);
	EXPECT_EQ(t, rig_query(r, OID_GEN_DRIVER_VERSION, NULL, 0, a, sizeof(a), &bytes), 0);
	EXPECT_EQ(t, bytes, 2);
	EXPECT_EQ(t, rig_query(r, OID_GEN_MAX_LINK_SPEED, NULL, 0, speed, 16, &bytes), 0);
	EXPECT_EQ(t, bytes, 16);
	EXPECT_EQ(t, speed[0], UINT64_C(10000000000));
	EXPECT_EQ(t, rig_query(r, OID_GEN_LINK_STATE, NULL, 0, &state, sizeof(state), &bytes), 0);
	EXPECT_EQ(t, bytes, 40);
	EXPECT_EQ(t, state.connect, 1);
	EXPECT_EQ(t, state.rx_bps, UINT64_C(10000000000));
	vsp_net_link(r->n, false);
	vsp_net_speed(r->n, UINT64_C(1000000000000)); /* more than the old OID can say */
	EXPECT_EQ(t, query_u32(r, OID_GEN_MEDIA_CONNECT_STATUS), 1);
	EXPECT_EQ(t, query_u32(r, OID_GEN_LINK_SPEED), UINT32_MAX);
	EXPECT_EQ(t, rig_query(r, OID_GEN_INTERRUPT_MODERATION, NULL, 0, a, sizeof(a), &bytes), 0);
	EXPECT_EQ(t, bytes, 12);
	rig_destroy(r);
}

/* As rndis_query_hwcaps of Linux asks, with each version's size and revision. */
static void test_offload_capabilities(struct test *t)
{
	static const struct {
		uint32_t version;
		uint8_t revision;
		uint16_t bytes;
	} cases[] = {
		{NVSP_PROTOCOL_VERSION_2, 1, 112},
		{NVSP_PROTOCOL_VERSION_4, 2, 144},
		{NVSP_PROTOCOL_VERSION_5, 3, 156},
		{NVSP_PROTOCOL_VERSION_61, 3, 156},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = start(t, NULL, cases[i].version);
		struct ndis_offload o = {
			.header = {NDIS_OBJECT_TYPE_OFFLOAD, cases[i].revision, cases[i].bytes}};
		bool rsc = cases[i].version == NVSP_PROTOCOL_VERSION_61;
		uint32_t bytes;

		EXPECT_EQ(t,
			  rig_query(r, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &o, cases[i].bytes,
				    &o, sizeof(o), &bytes),
			  0);
		EXPECT_EQ(t, bytes, cases[i].bytes);
		EXPECT_EQ(t, o.header.type, 0xa7);
		EXPECT_EQ(t, o.header.revision, cases[i].revision);
		EXPECT_EQ(t, o.header.bytes, cases[i].bytes);
		EXPECT_EQ(t, o.checksum.ip4_tx & 0x14, 0x14); /* Linux's conditions */
		EXPECT_EQ(t, o.checksum.ip6_tx & 0x15, 0x15);
		EXPECT_EQ(t, o.checksum.ip4_tx & o.checksum.ip6_tx & 0x40, 0x40);
		EXPECT_EQ(t, o.lso2.ip4_encap & o.lso2.ip6_encap & 2, 2);
		EXPECT_EQ(t, o.lso2.ip6_options & 5, 5);
		EXPECT(t, o.lso2.ip4_max_bytes > 60000 && o.lso2.ip4_max_bytes < 65536);
		EXPECT_EQ(t, o.rsc_ip4, rsc && bytes == 156);
		EXPECT_EQ(t, o.rsc_ip6, rsc && bytes == 156);
		/* without a header: by the guest's NDIS */
		EXPECT_EQ(t,
			  rig_query(r, OID_TCP_OFFLOAD_CURRENT_CONFIG, NULL, 0, &o, sizeof(o),
				    &bytes),
			  0);
		EXPECT_EQ(t, bytes, cases[i].version >= NVSP_PROTOCOL_VERSION_5 ? 156 : 144);
		rig_destroy(r);
	}
}

static void test_offload_nothing(struct test *t)
{
	const struct rig_config config = {.takes_nothing = true};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	struct ndis_offload o;
	uint32_t bytes;

	EXPECT_EQ(
		t,
		rig_query(r, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, NULL, 0, &o, sizeof(o), &bytes),
		0);
	EXPECT_EQ(t, o.checksum.ip4_tx | o.checksum.ip6_tx, 0);
	EXPECT_EQ(t, o.lso1.encap | o.lso2.ip4_encap | o.lso2.ip6_encap, 0);
	EXPECT(t, o.checksum.ip4_rx != 0); /* those we can always tell */
	rig_destroy(r);
}

/* The bytes that rndis_filter_set_offload_params sends. */
static void test_offload_parameters(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t p[28] = {0x80, 3, 28, 0, 1, 4, 4, 4, 4, 0, 0, 2, 2};
	struct ndis_offload o;
	uint32_t bytes;

	EXPECT(t, !net_offload_rsc(&r->n->settings, false));
	p[22] = p[23] = 2;
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, p, sizeof(p)), 0);
	EXPECT(t,
	       net_offload_rsc(&r->n->settings, false) && net_offload_rsc(&r->n->settings, true));
	EXPECT_EQ(t, rig_query(r, OID_TCP_OFFLOAD_CURRENT_CONFIG, NULL, 0, &o, sizeof(o), &bytes),
		  0);
	EXPECT_EQ(t, o.checksum.ip4_tx & NDIS_CHECKSUM_IP4, 0); /* Linux switches that off */
	EXPECT_EQ(t, o.checksum.ip4_tx & NDIS_CHECKSUM_TCP, NDIS_CHECKSUM_TCP);
	EXPECT_EQ(t, o.rsc_ip4, 1);
	p[22] = 1;
	p[23] = 0;				  /* unchanged */
	p[5] = 3, p[6] = 2, p[11] = 1, p[12] = 0; /* receive only, send only, off, unchanged */
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, p, sizeof(p)), 0);
	EXPECT_EQ(t, rig_query(r, OID_TCP_OFFLOAD_CURRENT_CONFIG, NULL, 0, &o, sizeof(o), &bytes),
		  0);
	EXPECT_EQ(t, o.rsc_ip4, 0);
	EXPECT_EQ(t, o.rsc_ip6, 1);
	EXPECT_EQ(t, o.checksum.ip4_tx & NDIS_CHECKSUM_TCP, 0);
	EXPECT_EQ(t, o.checksum.ip4_rx & NDIS_CHECKSUM_TCP, NDIS_CHECKSUM_TCP);
	EXPECT_EQ(t, o.checksum.ip4_tx & NDIS_CHECKSUM_UDP, NDIS_CHECKSUM_UDP);
	EXPECT_EQ(t, o.checksum.ip4_rx & NDIS_CHECKSUM_UDP, 0);
	EXPECT_EQ(t, o.lso2.ip4_encap, 0);
	EXPECT_EQ(t, o.lso2.ip6_encap, 2);
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, p, 22), 0); /* to old hosts */
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, p, 14), RNDIS_STATUS_INVALID_LENGTH);
	p[5] = 5;
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, p, 28), RNDIS_STATUS_INVALID_DATA);
	p[5] = 0;
	p[0] = 0x81;
	EXPECT_EQ(t, rig_set(r, OID_TCP_OFFLOAD_PARAMETERS, p, 28), RNDIS_STATUS_INVALID_DATA);
	rig_destroy(r);
}

/* ---- RSS ---- */

static uint32_t rss_message(uint8_t *p, uint16_t flags, uint16_t entries, uint32_t queues)
{
	const struct ndis_rss_parameters h = {
		.header = {0x89, 2, 40},
		.flags = flags,
		.hash = 1 | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 |
			NDIS_HASH_TCP_IPV6,
		.table_bytes = (uint16_t)(entries * 4),
		.table_offset = 40,
		.key_bytes = 40,
		.key_offset = 40 + entries * 4u,
	};

	memcpy(p, &h, sizeof(h));
	for (uint32_t i = 0; i < entries; i++) {
		store_le32(p + 40 + i * 4, i % queues);
	}
	for (uint32_t i = 0; i < 40; i++) {
		p[h.key_offset + i] = (uint8_t)(i + 1);
	}
	return h.key_offset + 40;
}

static void test_rss(struct test *t)
{
	const struct rig_config config = {.queues = 4};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	uint8_t caps[64] = {0x88, 2, 18, 0}, p[1024], back[1024];
	uint32_t bytes, n;

	EXPECT_EQ(t,
		  rig_query(r, OID_GEN_RECEIVE_SCALE_CAPABILITIES, caps, 18, caps, sizeof(caps),
			    &bytes),
		  0);
	EXPECT_EQ(t, bytes, 18); /* Linux takes no more */
	EXPECT_EQ(t, caps[0], 0x88);
	EXPECT_EQ(t, load_le32(caps + 12), 4);
	EXPECT_EQ(t, load_le16(caps + 16), 128);
	EXPECT_EQ(t,
		  rig_query(r, OID_GEN_RECEIVE_SCALE_CAPABILITIES, caps, 20, caps, sizeof(caps),
			    &bytes),
		  0);
	EXPECT_EQ(t, bytes, 20); /* FreeBSD, Windows */
	caps[1] = 1;
	EXPECT_EQ(t,
		  rig_query(r, OID_GEN_RECEIVE_SCALE_CAPABILITIES, caps, 16, caps, sizeof(caps),
			    &bytes),
		  0);
	EXPECT_EQ(t, bytes, 16);

	EXPECT(t, rig_create_subchannels(r, 3));
	n = rss_message(p, NDIS_RSS_DISABLE, 128, 4);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), 0);
	EXPECT_EQ(t, r->rss.types, 0);
	n = rss_message(p, 0, 128, 4);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), 0);
	EXPECT_EQ(t, r->rss_queues, 4);
	EXPECT_EQ(t, r->rss.table_entries, 128);
	EXPECT_EQ(t, r->rss.table[127], 3);
	EXPECT_EQ(t, r->rss.key[39], 40);
	EXPECT_EQ(t, r->rss.types,
		  NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6);
	EXPECT_EQ(
		t,
		rig_query(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, NULL, 0, back, sizeof(back), &bytes),
		0);
	EXPECT_EQ(t, bytes, n);
	EXPECT_MEM(t, back + 8, p + 8, 24);
	EXPECT_MEM(t, back + 40, p + 40, n - 40);

	n = rss_message(p, NDIS_RSS_TABLE_UNCHANGED | NDIS_RSS_HASH_UNCHANGED, 0, 1);
	p[40] = 99; /* only the key */
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), 0);
	EXPECT_EQ(t, r->rss.key[0], 99);
	EXPECT_EQ(t, r->rss.table[126], 2);
	rig_close(r, 3);
	rig_close(r, 2);
	rig_close(r, 1);
	rig_close(r, 0);
	EXPECT_EQ(t, r->rss.types, 0);
	EXPECT_EQ(t, r->rss_queues, 1);
	rig_destroy(r);
}

static void test_rss_refused(struct test *t)
{
	const struct rig_config config = {.queues = 4};
	struct rig *r = start(t, &config, NVSP_PROTOCOL_VERSION_61);
	uint8_t p[1024];
	uint32_t n;

	EXPECT(t, rig_create_subchannels(r, 1));
	n = rss_message(p, 0, 128, 3); /* a queue that is not there */
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), RNDIS_STATUS_INVALID_DATA);
	n = rss_message(p, 0, 96, 2); /* no power of two */
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), RNDIS_STATUS_INVALID_DATA);
	n = rss_message(p, 0, 128, 2);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n - 1),
		  RNDIS_STATUS_INVALID_DATA);
	store_le32(p + 16, 0xfffffff0);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), RNDIS_STATUS_INVALID_DATA);
	store_le32(p + 16, 40);
	store_le16(p + 20, 41);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, n), RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RECEIVE_SCALE_PARAMETERS, p, 27),
		  RNDIS_STATUS_INVALID_LENGTH);
	EXPECT_EQ(t, r->rss.types, 0);
	EXPECT(t, !r->n->settings.rss);
	rig_destroy(r);
}

/* ---- Addresses ---- */

static uint32_t config_parameter(struct rig *r, const char *name, const char *value, uint32_t type)
{
	uint8_t p[256] = {0};
	struct rndis_config_parameter h = {.name_offset = sizeof(h), .type = type};

	h.name_bytes = (uint32_t)strlen(name) * 2;
	h.value_offset = h.name_offset + h.name_bytes;
	h.value_bytes = (uint32_t)strlen(value) * 2;
	memcpy(p, &h, sizeof(h));
	for (size_t i = 0; i < strlen(name); i++) {
		p[h.name_offset + 2 * i] = (uint8_t)name[i];
	}
	for (size_t i = 0; i < strlen(value); i++) {
		p[h.value_offset + 2 * i] = (uint8_t)value[i];
	}
	return rig_set(r, OID_GEN_RNDIS_CONFIG_PARAMETER, p, h.value_offset + h.value_bytes);
}

static void test_mac(struct test *t)
{
	static const uint8_t other[] = {0x02, 0xab, 0xcd, 0xef, 0x01, 0x02};
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	struct rndis_config_parameter bad = {.name_offset = 0xfffffff0, .name_bytes = 28};
	uint8_t mac[6];
	uint32_t bytes;

	EXPECT_EQ(t, rig_query(r, OID_802_3_PERMANENT_ADDRESS, NULL, 0, mac, 6, &bytes), 0);
	EXPECT_EQ(t, bytes, 6);
	EXPECT_MEM(t, mac, RIG_MAC, 6);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "02abcdef0102", 2), 0);
	EXPECT_MEM(t, r->mac, other, 6);
	EXPECT_EQ(t, rig_query(r, OID_802_3_CURRENT_ADDRESS, NULL, 0, mac, 6, &bytes), 0);
	EXPECT_MEM(t, mac, other, 6);
	EXPECT_EQ(t, rig_query(r, OID_802_3_PERMANENT_ADDRESS, NULL, 0, mac, 6, &bytes), 0);
	EXPECT_MEM(t, mac, RIG_MAC, 6);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "02-AB-CD-EF-01-07", 2), 0);
	EXPECT_EQ(t, r->mac[5], 7);
	EXPECT_EQ(t, config_parameter(r, "SomethingElse", "1", 2), 0);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "02abcdef01", 2),
		  RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "02abcdef01020", 2),
		  RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "02abcdef010g", 2),
		  RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "01abcdef0102", 2),
		  RNDIS_STATUS_INVALID_DATA); /* a group */
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "000000000000", 2),
		  RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, config_parameter(r, "NetworkAddress", "02abcdef0102", 0),
		  RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, rig_set(r, OID_GEN_RNDIS_CONFIG_PARAMETER, &bad, sizeof(bad)),
		  RNDIS_STATUS_INVALID_DATA);
	r->mac_refused = true;
	EXPECT_EQ(t, rig_set(r, OID_802_3_CURRENT_ADDRESS, other, 6), RNDIS_STATUS_NOT_ACCEPTED);
	EXPECT_EQ(t, r->n->settings.mac[5], 7);
	r->mac_refused = false;
	EXPECT_EQ(t, rig_set(r, OID_802_3_CURRENT_ADDRESS, other, 6), 0);
	EXPECT_EQ(t, r->n->settings.mac[5], 2);
	rig_destroy(r);
}

static void test_multicast(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint8_t list[33 * 6], back[200];
	uint32_t bytes;

	for (unsigned i = 0; i < sizeof(list); i++) {
		list[i] = i % 6 == 0 ? 0x01 : (uint8_t)(i / 6);
	}
	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, list, 32 * 6), 0);
	EXPECT_EQ(t, rig_query(r, OID_802_3_MULTICAST_LIST, NULL, 0, back, sizeof(back), &bytes),
		  0);
	EXPECT_EQ(t, bytes, 32 * 6);
	EXPECT_MEM(t, back, list, bytes);
	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, list, 33 * 6),
		  RNDIS_STATUS_MULTICAST_FULL);
	EXPECT_EQ(t, rig_set(r, OID_802_3_ADD_MULTICAST_ADDRESS, list + 32 * 6, 6),
		  RNDIS_STATUS_MULTICAST_FULL);
	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, list, 7), RNDIS_STATUS_INVALID_LENGTH);
	EXPECT_EQ(t, rig_set(r, OID_802_3_DELETE_MULTICAST_ADDRESS, list + 6, 6), 0);
	EXPECT_EQ(t, r->n->settings.multicasts, 31);
	EXPECT_EQ(t, rig_set(r, OID_802_3_DELETE_MULTICAST_ADDRESS, list + 6, 6),
		  RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, rig_set(r, OID_802_3_ADD_MULTICAST_ADDRESS, list + 6, 6), 0);
	EXPECT_EQ(t, rig_set(r, OID_802_3_ADD_MULTICAST_ADDRESS, list + 6, 6),
		  RNDIS_STATUS_MULTICAST_EXISTS);
	list[6] = 0x02; /* not a group */
	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, list, 12), RNDIS_STATUS_INVALID_DATA);
	EXPECT_EQ(t, rig_set(r, OID_802_3_MULTICAST_LIST, NULL, 0), 0);
	EXPECT_EQ(t, r->n->settings.multicasts, 0);
	rig_destroy(r);
}

static void test_encapsulation(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	struct ndis_encapsulation e;
	uint32_t bytes;

	EXPECT_EQ(t, rig_query(r, OID_OFFLOAD_ENCAPSULATION, NULL, 0, &e, sizeof(e), &bytes), 0);
	EXPECT_EQ(t, bytes, 28);
	EXPECT_EQ(t, rig_set(r, OID_OFFLOAD_ENCAPSULATION, &e, sizeof(e)), 0);
	e.ip4.type = 0x10;
	EXPECT_EQ(t, rig_set(r, OID_OFFLOAD_ENCAPSULATION, &e, sizeof(e)),
		  RNDIS_STATUS_NOT_SUPPORTED);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_values),
		TEST(test_supported),
		TEST(test_names_and_link),
		TEST(test_offload_capabilities),
		TEST(test_offload_nothing),
		TEST(test_offload_parameters),
		TEST(test_rss),
		TEST(test_rss_refused),
		TEST(test_mac),
		TEST(test_multicast),
		TEST(test_encapsulation),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
