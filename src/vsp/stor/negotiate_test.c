// SPDX-License-Identifier: Apache-2.0
/* The start of the protocol, in all versions and in wrong orders; and how the controller is offered. */
#include "negotiate_test.h"

static void test_offer_scsi(struct test *t)
{
	const struct guid type = VSTOR_SCSI_TYPE;
	const uint8_t zero[VMBUS_USER_DATA_BYTES] = {0};
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	const struct vmbus_offer_channel *o = &fake_guest_find(r->g, &r->instance, 0)->message;
	char text[GUID_TEXT_BYTES];

	guid_format(&o->type, text);
	EXPECT(t, strcmp(text, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f") == 0);
	EXPECT(t, guid_equal(&o->type, &type));
	EXPECT_EQ(t, o->flags, VMBUS_OFFER_ENUMERATE);
	EXPECT_MEM(t, o->user, zero, sizeof(zero));
	rig_destroy(r);
}

/* storvsc makes bytes 5 and 4 of the instance the target; Windows reads path and target from the user data. */
static void test_offer_ide(struct test *t)
{
	static const struct {
		uint8_t path, target;
		const char *instance;
	} rows[] = {
		{0, 0, "00000000-0000-8899-0000-000000000000"},
		{0, 1, "00000000-0001-8899-0000-000000000000"},
		{1, 0, "00000001-0000-8899-0000-000000000000"},
		{1, 1, "00000001-0001-8899-0000-000000000000"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct rig_config config = {.ide = true,
						  .ide_path = rows[i].path,
						  .ide_target = rows[i].target,
						  .subchannels = 4};
		struct rig *r = rig_create(&config);
		const uint8_t user[24] = {0, 0, rows[i].path, rows[i].target, 0, 0, 0, 0, 2};
		char text[GUID_TEXT_BYTES];

		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		const struct vmbus_offer_channel *o =
			&fake_guest_find(r->g, &r->instance, 0)->message;

		guid_format(&o->instance, text);
		EXPECT(t, strcmp(text, rows[i].instance) == 0);
		guid_format(&o->type, text);
		EXPECT(t, strcmp(text, "32412632-86cb-44a2-9b5c-50d1417354f5") == 0);
		EXPECT_EQ(t, o->instance.bytes[5] << 8 | o->instance.bytes[4], rows[i].target);
		EXPECT_MEM(t, o->user, user, sizeof(user));
		rig_destroy(r);
	}
}

static void test_two_offers(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct stor *second = NULL;

	EXPECT_EQ(t, stor_create(r->g->bus, &r->stor_config, &second), -EEXIST);
	EXPECT(t, second == NULL);
	rig_destroy(r);
}

/* As Linux: 6.2 at once; properties with what it computes its limits from. */
static void test_linux(struct test *t)
{
	const struct rig_config config = {.subchannels = 3};
	struct rig *r = rig_create(&config);
	struct vstor_packet packet;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_BEGIN_INITIALIZATION), STATUS_SUCCESS);
	EXPECT_EQ(t, ask_version(r, VSTOR_VERSION_WIN10, &packet), STATUS_SUCCESS);
	EXPECT_EQ(t, packet.version.version, VSTOR_VERSION_WIN10);
	packet = (struct vstor_packet){.header.operation = VSTOR_OPERATION_QUERY_PROPERTIES};
	EXPECT_EQ(t, rig_ask(r, 0, &packet, sizeof(packet)), STATUS_SUCCESS);
	EXPECT_EQ(t, packet.properties.subchannels_max, 3);
	EXPECT_EQ(t, packet.properties.flags, VSTOR_PROPERTIES_MULTI_CHANNEL);
	EXPECT_EQ(t, packet.properties.max_transfer_bytes, STOR_MAX_TRANSFER_BYTES);
	EXPECT_EQ(t, packet.properties.max_transfer_bytes % 4096, 0);
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION), STATUS_SUCCESS);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_versions(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct vstor_packet packet;
	unsigned known = 0;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_BEGIN_INITIALIZATION), STATUS_SUCCESS);
	for (uint32_t v = 0; v <= UINT16_MAX; v += v < 0x700 ? 1 : 0xff) {
		if (stor_version_known((uint16_t)v)) {
			known++;
			continue;
		}
		EXPECT_EQ(t, ask_version(r, (uint16_t)v, &packet), STATUS_REVISION_MISMATCH);
		EXPECT_EQ(t, r->s->state, STOR_VERSION);
	}
	EXPECT_EQ(t, known, ARRAY_LEN(versions));
	EXPECT_EQ(t, ask_version(r, VSTOR_VERSION_WIN8, &packet), STATUS_SUCCESS);
	rig_destroy(r);

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		r = rig_create(NULL);
		EXPECT(t, rig_connect(r, VERSION_WIN8));
		EXPECT(t, rig_start(r, versions[i]));
		EXPECT_EQ(t, r->s->state, STOR_READY);
		rig_destroy(r);
	}
}

/* Before WIN8 there is one channel. */
static void test_old_has_no_subchannels(struct test *t)
{
	const struct rig_config config = {.subchannels = 3};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		bool multi = versions[i] >= VSTOR_VERSION_WIN8;
		struct rig *r = rig_create(&config);
		struct vstor_packet packet;

		EXPECT(t, rig_connect(r, VERSION_WIN10));
		rig_operation(r, 0, VSTOR_OPERATION_BEGIN_INITIALIZATION);
		EXPECT_EQ(t, ask_version(r, versions[i], &packet), STATUS_SUCCESS);
		packet =
			(struct vstor_packet){.header.operation = VSTOR_OPERATION_QUERY_PROPERTIES};
		EXPECT_EQ(t, rig_ask(r, 0, &packet, sizeof(packet)), STATUS_SUCCESS);
		EXPECT_EQ(t, packet.properties.flags & 1, multi);
		EXPECT_EQ(t, packet.properties.subchannels_max, multi ? 3 : 0);
		EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION), 0);
		EXPECT_EQ(t, ask_subchannels(r, 1), multi ? 0 : STATUS_INVALID_PARAMETER);
		rig_destroy(r);
	}
}

/* Each operation in each state: allowed, or refused without effect. */
static void test_order(struct test *t)
{
	static const uint32_t right[STOR_STATES] = {
		[STOR_BEGIN] = BIT32(VSTOR_OPERATION_BEGIN_INITIALIZATION),
		[STOR_VERSION] = BIT32(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION),
		[STOR_PROPERTIES] = BIT32(VSTOR_OPERATION_QUERY_PROPERTIES),
		[STOR_END] = BIT32(VSTOR_OPERATION_END_INITIALIZATION) |
			     BIT32(VSTOR_OPERATION_CREATE_SUB_CHANNELS),
		[STOR_READY] =
			BIT32(VSTOR_OPERATION_CREATE_SUB_CHANNELS) |
			BIT32(VSTOR_OPERATION_EXECUTE_SRB) | BIT32(VSTOR_OPERATION_RESET_LUN) |
			BIT32(VSTOR_OPERATION_RESET_ADAPTER) | BIT32(VSTOR_OPERATION_RESET_BUS),
	};
	static const uint32_t ours =
		BIT32(VSTOR_OPERATION_EXECUTE_SRB) | BIT32(VSTOR_OPERATION_RESET_LUN) |
		BIT32(VSTOR_OPERATION_RESET_ADAPTER) | BIT32(VSTOR_OPERATION_RESET_BUS) |
		BIT32(VSTOR_OPERATION_BEGIN_INITIALIZATION) |
		BIT32(VSTOR_OPERATION_END_INITIALIZATION) |
		BIT32(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION) |
		BIT32(VSTOR_OPERATION_QUERY_PROPERTIES) |
		BIT32(VSTOR_OPERATION_CREATE_SUB_CHANNELS);

	for (unsigned state = 0; state < STOR_STATES; state++) {
		for (uint32_t op = 0; op < 20; op++) {
			struct rig *r = rig_create(NULL);
			struct vstor_packet packet = {.header.operation = op};
			uint32_t status;

			EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
			advance_to(r, (enum stor_state)state);
			EXPECT_EQ(t, r->s->state, state);
			packet.version.version = op == VSTOR_OPERATION_QUERY_PROTOCOL_VERSION
							 ? VSTOR_VERSION_WIN10
							 : 0;
			packet.srb.cdb_bytes = op == VSTOR_OPERATION_QUERY_PROTOCOL_VERSION ? 0 : 6;
			status = rig_ask(r, 0, &packet, sizeof(packet));
			if (right[state] & BIT32(op)) {
				EXPECT(t, status != STATUS_INVALID_DEVICE_STATE);
			} else {
				EXPECT_EQ(t, status,
					  ours & BIT32(op) ? STATUS_INVALID_DEVICE_STATE
							   : STATUS_INVALID_DEVICE_REQUEST);
				EXPECT_EQ(t, r->s->state, state);
				EXPECT_EQ(t, r->owner.logs, 1);
			}
			rig_destroy(r);
		}
	}
}

/* Each operation needs its fields; a packet always gets an answer of a size that Linux and Windows take. */
static void test_short(struct test *t)
{
	static const struct {
		uint32_t operation;
		enum stor_state state;
		size_t bytes; /* enough */
	} rows[] = {
		{VSTOR_OPERATION_BEGIN_INITIALIZATION, STOR_BEGIN, 16},
		{VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, STOR_VERSION, 16},
		{VSTOR_OPERATION_RESET_LUN, STOR_READY, 24},
		{VSTOR_OPERATION_RESET_BUS, STOR_READY, 16},
		{VSTOR_OPERATION_EXECUTE_SRB, STOR_READY, 64},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t bytes = 0; bytes <= 64; bytes += 8) {
			struct rig *r = rig_create(NULL);
			struct vstor_packet packet = {.header.operation = rows[i].operation};

			EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
			advance_to(r, rows[i].state);
			if (rows[i].state == STOR_VERSION) {
				packet.version.version = VSTOR_VERSION_WIN10;
			} else {
				packet.srb.cdb_bytes = 6;
			}
			uint32_t status = rig_ask(r, 0, &packet, bytes);

			EXPECT(t, status != UINT32_MAX);
			EXPECT_EQ(t, r->s->violations[VIOLATION_PACKET_SHORT],
				  bytes < rows[i].bytes);
			if (bytes < rows[i].bytes) {
				EXPECT(t, status != STATUS_SUCCESS);
			}
			rig_destroy(r);
		}
	}
}

/* The answer to a packet has its size, but at least that of the smallest version and at most that of the largest. */
static void test_answer_sizes(struct test *t)
{
	static const size_t rows[][2] = {{16, 48}, {48, 48}, {56, 56}, {64, 64}, {200, 64}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *r = rig_create(NULL);
		uint8_t bytes[200] = {VSTOR_OPERATION_BEGIN_INITIALIZATION};
		struct vstor_packet answer;
		uint64_t transaction;
		uint16_t type;

		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		EXPECT(t, fake_guest_send(&r->channels[0], 5, bytes, rows[i][0]));
		rig_run(r);
		EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), rows[i][1]);
		EXPECT_EQ(t, transaction, 5);
		EXPECT_EQ(t, type, VMBUS_PACKET_COMPLETION);
		EXPECT_EQ(t, answer.header.operation, VSTOR_OPERATION_COMPLETE_IO);
		EXPECT_EQ(t, answer.header.status, STATUS_SUCCESS);
		rig_destroy(r);
	}
}

static void test_no_completion_wanted(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct vstor_packet packet = {.header.operation =
						    VSTOR_OPERATION_BEGIN_INITIALIZATION};
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, fake_guest_write(&r->channels[0], VMBUS_PACKET_DATA_INBAND, false, 1, NULL, 0,
				   &packet, sizeof(packet)));
	rig_run(r);
	EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 0);
	EXPECT_EQ(t, r->s->state, STOR_VERSION);
	EXPECT_EQ(t, r->s->channels[0].outstanding, 0);
	rig_destroy(r);
}

/* Closing and opening starts anew, as kexec does. */
static void test_reopen(struct test *t)
{
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_up(r));
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(t, rig_close(r, 0));
		EXPECT_EQ(t, r->s->state, STOR_BEGIN);
		EXPECT(t, rig_open(r, 0));
		EXPECT(t, rig_start(r, versions[i]));
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_offer_scsi),	 TEST(test_offer_ide),
		TEST(test_two_offers),	 TEST(test_linux),
		TEST(test_versions),	 TEST(test_old_has_no_subchannels),
		TEST(test_order),	 TEST(test_short),
		TEST(test_answer_sizes), TEST(test_no_completion_wanted),
		TEST(test_reopen),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
