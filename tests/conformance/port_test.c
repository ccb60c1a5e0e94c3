// SPDX-License-Identifier: Apache-2.0
/* Ports and connections: creation, and what HvPostMessage and HvSignalEvent answer. TLFS 11.7, 11.10. */
#include "rig.h"

#define SINT 2u
#define VECTOR 0x61u

static const struct hv_port_info message_info = {.port_type = HvPortTypeMessage,
						 .target_sint = SINT};
static const struct hv_port_info event_info = {.port_type = HvPortTypeEvent,
					       .target_sint = SINT,
					       .base_flag_number = 100,
					       .flag_count = 50};

static void init(struct rig *r)
{
	rig_init(r, &(struct rig_options){.vps = 2});
	rig_synic(r, 0, SINT, VECTOR);
	rig_synic(r, 1, SINT, VECTOR);
}

/* A port of the child with a connection of the root, both @id. */
static void link_port(struct test *t, struct rig *r, uint32_t id, const struct hv_port_info *info)
{
	EXPECT_EQ(t, rig_port(r, r->id, HV_PARTITION_ID_SELF, id, info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(r, HV_PARTITION_ID_SELF, r->id, id, info->port_type),
		  HV_STATUS_SUCCESS);
}

/* A port of the root with a connection of the child. */
static void link_root_port(struct test *t, struct rig *r, uint32_t id,
			   const struct hv_port_info *info)
{
	EXPECT_EQ(t, rig_port(r, HV_PARTITION_ID_SELF, r->id, id, info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(r, r->id, HV_PARTITION_ID_SELF, id, info->port_type),
		  HV_STATUS_SUCCESS);
}

static uint16_t port_call(struct rig *r, unsigned code, uint64_t partition, uint32_t id)
{
	const struct hv_input_port in = {.partition_id = partition, .id = id};

	return rig_root(r, code, &in, sizeof(in), NULL, 0);
}

static uint16_t guest_post(struct rig *r, uint32_t connection, uint32_t type, uint32_t bytes)
{
	struct hv_input_post_message in = {
		.connection_id = connection, .message_type = type, .payload_size = bytes};

	memset(in.payload, 0x5A, sizeof(in.payload));
	return rig_call_status(r, 0, HvCallPostMessage, &in, sizeof(in));
}

static uint16_t guest_signal(struct rig *r, uint32_t connection, uint16_t flag)
{
	const struct hv_input_signal_event in = {.connection_id = connection, .flag_number = flag};

	return rig_call_status(r, 0, HvCallSignalEvent, &in, sizeof(in));
}

/* ---- Creation ---- */

static void tlfs_11_10_create_port_errors(struct test *t)
{
	static const struct {
		const char *what;
		uint32_t id;
		struct hv_port_info info;
		uint16_t status;
	} rows[] = {
		{"SINT 0", 1, {.port_type = 1, .target_sint = 0}, HV_STATUS_INVALID_PARAMETER},
		{"SINT 16", 1, {.port_type = 1, .target_sint = 16}, HV_STATUS_INVALID_PARAMETER},
		{"SINT 15", 15, {.port_type = 1, .target_sint = 15}, HV_STATUS_SUCCESS},
		{"type 0", 1, {.port_type = 0, .target_sint = 2}, HV_STATUS_INVALID_PARAMETER},
		{"type 9", 1, {.port_type = 9, .target_sint = 2}, HV_STATUS_INVALID_PARAMETER},
		{"VP 7",
		 1,
		 {.port_type = 1, .target_sint = 2, .target_vp = 7},
		 HV_STATUS_INVALID_VP_INDEX},
		{"any VP",
		 16,
		 {.port_type = 1, .target_sint = 2, .target_vp = HV_ANY_VP},
		 HV_STATUS_SUCCESS},
		{"no flags", 1, {.port_type = 2, .target_sint = 2}, HV_STATUS_INVALID_PARAMETER},
		{"flags to 2048",
		 1,
		 {.port_type = 2, .target_sint = 2, .base_flag_number = 2000, .flag_count = 48},
		 HV_STATUS_INVALID_PARAMETER},
		{"flags to 2047",
		 17,
		 {.port_type = 2, .target_sint = 2, .base_flag_number = 2000, .flag_count = 47},
		 HV_STATUS_SUCCESS},
		{"flags wrap",
		 1,
		 {.port_type = 2, .target_sint = 2, .base_flag_number = 0xFFFF, .flag_count = 2},
		 HV_STATUS_INVALID_PARAMETER},
		{"id too large",
		 0x01000000,
		 {.port_type = 1, .target_sint = 2},
		 HV_STATUS_INVALID_PORT_ID},
		{"largest id", 0x00FFFFFF, {.port_type = 1, .target_sint = 2}, HV_STATUS_SUCCESS},
		{"id in use",
		 0x00FFFFFF,
		 {.port_type = 1, .target_sint = 2},
		 HV_STATUS_INVALID_PORT_ID},
	};
	struct rig r;

	init(&r);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint16_t status =
			rig_port(&r, r.id, HV_PARTITION_ID_SELF, rows[i].id, &rows[i].info);

		if (status != rows[i].status) {
			test_fail(t, __FILE__, __LINE__, "%s: 0x%x", rows[i].what, status);
		}
	}
	/* Both ends in one partition; a peer that does not exist. */
	EXPECT_EQ(t, rig_port(&r, r.id, r.id, 2, &message_info), HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, rig_port(&r, HV_PARTITION_ID_SELF, HV_PARTITION_ID_SELF, 2, &message_info),
		  HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, rig_port(&r, r.id, 0x7777, 2, &message_info), HV_STATUS_INVALID_PARTITION_ID);
	rig_fini(&r);
}

static void tlfs_11_10_connect_port_errors(struct test *t)
{
	struct rig r;
	uint64_t other;

	init(&r);
	other = rig_partition_create(&r, &(struct rig_options){0});
	EXPECT_EQ(t, rig_port(&r, r.id, HV_PARTITION_ID_SELF, 5, &message_info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 6, HvPortTypeMessage),
		  HV_STATUS_INVALID_PORT_ID);
	/* The port is for the root, not for this partition. */
	EXPECT_EQ(t, rig_connect(&r, other, r.id, 5, HvPortTypeMessage), HV_STATUS_INVALID_PORT_ID);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 5, HvPortTypeEvent),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, 0x7777, 5, HvPortTypeMessage),
		  HV_STATUS_INVALID_PARTITION_ID);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 5 | 0x01000000, HvPortTypeMessage),
		  HV_STATUS_INVALID_CONNECTION_ID);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 5, HvPortTypeMessage),
		  HV_STATUS_SUCCESS);
	/* Connection id in use; then a port that has its connection. */
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 5, HvPortTypeMessage),
		  HV_STATUS_INVALID_CONNECTION_ID);
	const struct hv_input_connect_port second = {
		.connection_partition = HV_PARTITION_ID_SELF,
		.connection_id = 6,
		.port_partition = r.id,
		.port_id = 5,
		.connection_info = {.port_type = HvPortTypeMessage}};

	EXPECT_EQ(t, rig_root(&r, HvCallConnectPort, &second, sizeof(second), NULL, 0),
		  HV_STATUS_INVALID_PORT_ID);
	rig_partition_delete(&r, other);
	rig_fini(&r);
}

static void tlfs_11_10_delete_and_disconnect(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, port_call(&r, HvCallDeletePort, r.id, 5), HV_STATUS_INVALID_PORT_ID);
	EXPECT_EQ(t, port_call(&r, HvCallDisconnectPort, r.id, 5), HV_STATUS_INVALID_CONNECTION_ID);
	link_port(t, &r, 5, &message_info);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "x", 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "y", 1), HV_STATUS_SUCCESS);
	/* Deleting the port takes its queued messages along; the connection then leads nowhere. */
	EXPECT_EQ(t, port_call(&r, HvCallDeletePort, r.id, 5), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "z", 1), HV_STATUS_INVALID_PORT_ID);
	rig_slot(&r, 0, SINT)->type = 0;
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_EOM, 0), RIG_OK);
	EXPECT_EQ(t, rig_slot(&r, 0, SINT)->type, 0);
	EXPECT_EQ(t, port_call(&r, HvCallDisconnectPort, HV_PARTITION_ID_SELF, 5),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "z", 1), HV_STATUS_INVALID_CONNECTION_ID);
	/* A port without its connection can be connected again. */
	link_port(t, &r, 5, &message_info);
	EXPECT_EQ(t, port_call(&r, HvCallDisconnectPort, HV_PARTITION_ID_SELF, 5),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(&r, HV_PARTITION_ID_SELF, r.id, 5, HvPortTypeMessage),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "z", 1), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* ---- Messages ---- */

static void tlfs_11_10_post_message_errors(struct test *t)
{
	struct rig r;

	init(&r);
	link_root_port(t, &r, 1, &message_info);
	link_root_port(t, &r, 2, &event_info);
	EXPECT_EQ(t, guest_post(&r, 9, 1, 8), HV_STATUS_INVALID_CONNECTION_ID);
	EXPECT_EQ(t, guest_post(&r, 1, 0, 8), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, guest_post(&r, 1, 0x80000000, 8), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, guest_post(&r, 1, 1, 241), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, guest_post(&r, 1, 1, UINT32_MAX), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, guest_post(&r, 2, 1, 8), HV_STATUS_INVALID_PORT_ID);
	EXPECT_EQ(t, guest_post(&r, 1, 1, 240), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, guest_post(&r, 1, 0x7FFFFFFF, 0), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

static void tlfs_11_10_message_to_the_root(struct test *t)
{
	struct hv_message m;
	struct rig r;

	init(&r);
	link_root_port(t, &r, 1, &message_info);
	EXPECT(t, !hv_root_take_message(r.hv, &m));
	EXPECT_EQ(t, guest_post(&r, 1, 3, 20), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.root_wake.count, 1);
	EXPECT(t, hv_root_take_message(r.hv, &m));
	EXPECT_EQ(t, m.type, 3);
	EXPECT_EQ(t, m.payload_size, 20);
	EXPECT_EQ(t, m.payload[19], 0x5A);
	EXPECT_EQ(t, m.payload[20], 0);
	EXPECT(t, !hv_root_take_message(r.hv, &m));
	/* Sixteen buffers per port here too. */
	for (unsigned i = 0; i < 16; i++) {
		EXPECT_EQ(t, guest_post(&r, 1, 1 + i, 0), HV_STATUS_SUCCESS);
	}
	EXPECT_EQ(t, guest_post(&r, 1, 99, 0), HV_STATUS_INSUFFICIENT_BUFFERS);
	EXPECT_EQ(t, port_call(&r, HvCallDeletePort, HV_PARTITION_ID_SELF, 1), HV_STATUS_SUCCESS);
	EXPECT(t, !hv_root_take_message(r.hv, &m));
	EXPECT_EQ(t, guest_post(&r, 1, 1, 0), HV_STATUS_INVALID_PORT_ID);
	rig_fini(&r);
}

static void tlfs_11_10_messages_keep_their_order(struct test *t)
{
	struct hv_message m;
	struct rig r;

	init(&r);
	link_root_port(t, &r, 1, &message_info);
	link_root_port(t, &r, 3, &message_info);
	for (unsigned i = 1; i <= 10; i++) {
		EXPECT_EQ(t, guest_post(&r, i & 1 ? 1 : 3, i, 0), HV_STATUS_SUCCESS);
	}
	for (unsigned i = 1; i <= 10; i++) {
		EXPECT(t, hv_root_take_message(r.hv, &m));
		EXPECT_EQ(t, m.type, i);
		EXPECT_EQ(t, m.origin & UINT32_MAX, i & 1 ? 1 : 3);
	}
	rig_fini(&r);
}

static void tlfs_11_10_any_vp_takes_one_that_listens(struct test *t)
{
	struct hv_port_info any = message_info;
	struct rig r;

	init(&r);
	any.target_vp = HV_ANY_VP;
	link_port(t, &r, 5, &any);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SCONTROL, 0), RIG_OK);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "x", 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_slot(&r, 1, SINT)->type, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, HV_X64_MSR_SIMP, 0), RIG_OK);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "x", 1), HV_STATUS_INVALID_SYNIC_STATE);
	rig_fini(&r);
}

static void tlfs_11_10_target_vp_deleted(struct test *t)
{
	struct hv_port_info info = message_info, event = event_info;
	struct rig r;

	init(&r);
	const struct hv_input_vp vp1 = {.partition_id = r.id, .vp_index = 1};

	info.target_vp = 1;
	event.target_vp = 1;
	link_port(t, &r, 5, &info);
	link_port(t, &r, 6, &event);
	for (unsigned i = 0; i < 5; i++) {
		EXPECT_EQ(t, rig_root_post(&r, 5, 1, "x", 1), HV_STATUS_SUCCESS);
	}
	EXPECT_EQ(t, rig_root(&r, HvCallDeleteVp, &vp1, sizeof(vp1), NULL, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root_post(&r, 5, 1, "x", 1), HV_STATUS_INVALID_VP_INDEX);
	EXPECT_EQ(t, rig_root_signal(&r, 6, 0), HV_STATUS_INVALID_VP_INDEX);
	rig_fini(&r);
}

/* ---- Events ---- */

static void tlfs_11_10_signal_event_errors(struct test *t)
{
	struct rig r;

	init(&r);
	link_root_port(t, &r, 1, &event_info);
	link_root_port(t, &r, 2, &message_info);
	EXPECT_EQ(t, guest_signal(&r, 9, 0), HV_STATUS_INVALID_CONNECTION_ID);
	EXPECT_EQ(t, guest_signal(&r, 2, 0), HV_STATUS_INVALID_PORT_ID);
	EXPECT_EQ(t, guest_signal(&r, 1, 50), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, guest_signal(&r, 1, 0xFFFF), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, guest_signal(&r, 1, 49), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

static void tlfs_11_10_events_to_the_root(struct test *t)
{
	uint32_t port;
	uint16_t flag;
	struct rig r;

	init(&r);
	link_root_port(t, &r, 1, &event_info);
	EXPECT(t, !hv_root_take_event(r.hv, &port, &flag));
	EXPECT_EQ(t, guest_signal(&r, 1, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, guest_signal(&r, 1, 33), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, guest_signal(&r, 1, 33), HV_STATUS_SUCCESS);
	EXPECT(t, r.root_wake.count >= 2);
	EXPECT(t, hv_root_take_event(r.hv, &port, &flag));
	EXPECT_EQ(t, port, 1);
	EXPECT_EQ(t, flag, 0);
	EXPECT(t, hv_root_take_event(r.hv, &port, &flag));
	EXPECT_EQ(t, flag, 33);
	EXPECT(t, !hv_root_take_event(r.hv, &port, &flag));
	rig_fini(&r);
}

static void tlfs_11_10_event_flag_is_base_plus_number(struct test *t)
{
	struct rig r;

	init(&r);
	link_port(t, &r, 5, &event_info);
	EXPECT_EQ(t, rig_root_signal(&r, 5, 7), HV_STATUS_SUCCESS);
	EXPECT(t, rig_flag(&r, 0, SINT, 107));
	EXPECT(t, !rig_flag(&r, 0, SINT, 7));
	EXPECT(t, rig_took(&r, 0, VECTOR));
	/* Never short of resources: setting it again is success without an interrupt. */
	EXPECT_EQ(t, rig_root_signal(&r, 5, 7), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, rig_root_signal(&r, 5, 50), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_MASKED), RIG_OK);
	EXPECT_EQ(t, rig_root_signal(&r, 5, 8), HV_STATUS_INVALID_SYNIC_STATE);
	rig_fini(&r);
}

static void tlfs_11_10_event_for_any_vp(struct test *t)
{
	struct hv_port_info any = event_info;
	struct rig r;

	init(&r);
	any.target_vp = HV_ANY_VP;
	link_port(t, &r, 5, &any);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, HV_X64_MSR_SINT0 + SINT, HV_SINT_MASKED), RIG_OK);
	EXPECT_EQ(t, rig_root_signal(&r, 5, 0), HV_STATUS_SUCCESS);
	EXPECT(t, rig_flag(&r, 1, SINT, 100));
	EXPECT(t, !rig_flag(&r, 0, SINT, 100));
	EXPECT_EQ(t, rig_wrmsr(&r, 1, HV_X64_MSR_SCONTROL, 0), RIG_OK);
	EXPECT_EQ(t, rig_root_signal(&r, 5, 0), HV_STATUS_INVALID_SYNIC_STATE);
	rig_fini(&r);
}

/* ---- Between two children, and when one goes away ---- */

static void tlfs_11_10_child_to_child(struct test *t)
{
	struct rig r;
	uint64_t other;

	init(&r);
	other = rig_partition_create(&r, &(struct rig_options){0});
	EXPECT_EQ(t, rig_port(&r, other, r.id, 5, &message_info), HV_STATUS_INVALID_VP_INDEX);
	rig_vp_create(&r, other, 0);
	EXPECT_EQ(t, rig_port(&r, other, r.id, 5, &message_info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(&r, r.id, other, 5, HvPortTypeMessage), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, guest_post(&r, 5, 1, 8), HV_STATUS_INVALID_SYNIC_STATE); /* its SynIC is off */
	rig_partition_delete(&r, other);
	EXPECT_EQ(t, guest_post(&r, 5, 1, 8), HV_STATUS_INVALID_PORT_ID);
	rig_fini(&r);
}

static void tlfs_11_10_sender_goes_away(struct test *t)
{
	struct rig r;
	uint64_t other;

	init(&r);
	other = rig_partition_create(&r, &(struct rig_options){0});
	EXPECT_EQ(t, rig_port(&r, r.id, other, 5, &message_info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(&r, other, r.id, 5, HvPortTypeMessage), HV_STATUS_SUCCESS);
	rig_partition_delete(&r, other);
	EXPECT_EQ(t, port_call(&r, HvCallDeletePort, r.id, 5), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* A partition that ends with full queues on both sides gives all memory back (rig_fini checks). */
static void tlfs_4_finalize_with_queued_messages(struct test *t)
{
	struct rig r;

	init(&r);
	link_port(t, &r, 5, &message_info);
	link_port(t, &r, 6, &event_info);
	link_root_port(t, &r, 7, &message_info);
	for (unsigned i = 0; i < 10; i++) {
		EXPECT_EQ(t, rig_root_post(&r, 5, 1, "x", 1), HV_STATUS_SUCCESS);
		EXPECT_EQ(t, guest_post(&r, 7, 1, 1), HV_STATUS_SUCCESS);
	}
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_11_10_create_port_errors),
		TEST(tlfs_11_10_connect_port_errors),
		TEST(tlfs_11_10_delete_and_disconnect),
		TEST(tlfs_11_10_post_message_errors),
		TEST(tlfs_11_10_message_to_the_root),
		TEST(tlfs_11_10_messages_keep_their_order),
		TEST(tlfs_11_10_any_vp_takes_one_that_listens),
		TEST(tlfs_11_10_target_vp_deleted),
		TEST(tlfs_11_10_signal_event_errors),
		TEST(tlfs_11_10_events_to_the_root),
		TEST(tlfs_11_10_event_flag_is_base_plus_number),
		TEST(tlfs_11_10_event_for_any_vp),
		TEST(tlfs_11_10_child_to_child),
		TEST(tlfs_11_10_sender_goes_away),
		TEST(tlfs_4_finalize_with_queued_messages),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
