// SPDX-License-Identifier: Apache-2.0
/* The synthetic interrupt controller: registers, messages and their slots, ways to end an interrupt. Spec: TLFS 10.3.5, 11. */
#include "hyperv.h"

#define SINT 2u
#define SINT_VECTOR 0x42u
#define CONTACT_VERSION 0x00040000u
#define VERSION_RESPONSE 15u
#define INITIATE_CONTACT 14u
#define CONNECTION 1u
#define NO_CONNECTION 0x00eeeeu
#define TIMER_CONFIG HV_X64_MSR_STIMER3_CONFIG
#define TIMER_COUNT HV_X64_MSR_STIMER3_COUNT

static struct hv_message *slot(struct vp *vp, unsigned sint)
{
	return &vp_pages[vp->index].messages[sint];
}

static uint32_t type_of(struct vp *vp, unsigned sint)
{
	return __atomic_load_n(&slot(vp, sint)->type, __ATOMIC_SEQ_CST);
}

static void give_back(struct vp *vp, unsigned sint)
{
	__atomic_store_n(&slot(vp, sint)->type, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&slot(vp, sint)->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) {
		wrmsr(HV_X64_MSR_EOM, 0);
	}
}

/* A message for @sint, by a timer that is due. */
static void ask_for_message(unsigned sint)
{
	wrmsr(TIMER_COUNT, hv_now());
	wrmsr(TIMER_CONFIG, HV_STIMER_ENABLED | (uint64_t)sint << HV_STIMER_SINT_SHIFT);
}

/* ---- Registers ---- */

static void first_values(struct vp *vp)
{
	vp_check(vp, "SVERSION", rdmsr(HV_X64_MSR_SVERSION), HV_SYNIC_VERSION);
	vp_check(vp, "SCONTROL", rdmsr(HV_X64_MSR_SCONTROL), 0);
	vp_check(vp, "EOM", rdmsr(HV_X64_MSR_EOM), 0);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		vp_check(vp, "SINT", rdmsr(HV_X64_MSR_SINT0 + i), HV_SINT_MASKED);
	}
	for (unsigned i = 0; i < HV_SYNIC_STIMER_COUNT; i++) {
		vp_check(vp, "STIMER_CONFIG", rdmsr(HV_X64_MSR_STIMER0_CONFIG + 2 * i), 0);
		vp_check(vp, "STIMER_COUNT", rdmsr(HV_X64_MSR_STIMER0_COUNT + 2 * i), 0);
	}
}

static void test_vectors(void)
{
	test_begin("SINTs with vectors that are none");
	for (uint64_t vector = 0; vector < 16; vector++) {
		try_wrmsr(HV_X64_MSR_SINT0 + 5, vector);
		check_trap("not masked", 13, 0);
		wrmsr(HV_X64_MSR_SINT0 + 5, vector | HV_SINT_MASKED);
		CHECK_EQ(rdmsr(HV_X64_MSR_SINT0 + 5), vector | HV_SINT_MASKED);
	}
	try_wrmsr(HV_X64_MSR_SVERSION, 1);
	check_trap("SVERSION", 13, 0);
	test_end();
}

/* ---- Messages and interrupts ---- */

static void open_sint(struct vp *vp, unsigned sint, uint64_t bits, enum eoi how)
{
	(void)vp;
	eoi_of[SINT_VECTOR] = (uint8_t)how;
	wrmsr(HV_X64_MSR_SCONTROL, HV_SCONTROL_ENABLE);
	wrmsr(HV_X64_MSR_SINT0 + sint, SINT_VECTOR | bits);
}

static void messages_one_by_one(struct vp *vp, unsigned sint)
{
	for (unsigned i = 0; i < 30; i++) {
		uint64_t before = vp->taken[SINT_VECTOR];

		ask_for_message(sint);
		vp_check(vp, "a message", WAIT(type_of(vp, sint) != 0), true);
		vp_check(vp, "its type", type_of(vp, sint), (uint32_t)HvMessageTimerExpired);
		vp_check(vp, "its interrupt", WAIT(vp->taken[SINT_VECTOR] == before + 1), true);
		if (eoi_of[SINT_VECTOR] != EOI_ASSIST) { /* then the hypervisor may notice later */
			vp_check(vp, "in service no more", apic_bit(APIC_ISR, SINT_VECTOR), false);
		}
		give_back(vp, sint);
	}
}

static void with_eoi(struct vp *vp)
{
	open_sint(vp, SINT, 0, EOI_MSR);
	messages_one_by_one(vp, SINT);
}

static void with_auto_eoi(struct vp *vp)
{
	open_sint(vp, SINT, HV_SINT_AUTO_EOI, EOI_AUTO);
	messages_one_by_one(vp, SINT);
}

/* The assist page may say that an EOI can be left out; never when it cannot. */
static void with_assist(struct vp *vp)
{
	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, (uint64_t)vp_pages[vp->index].assist | HV_MSR_PAGE_ENABLE);
	vp_check(vp, "the page", rdmsr(HV_X64_MSR_VP_ASSIST_PAGE),
		 (uint64_t)vp_pages[vp->index].assist | HV_MSR_PAGE_ENABLE);
	open_sint(vp, SINT, 0, EOI_ASSIST);
	messages_one_by_one(vp, SINT);
	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
}

/* Nothing interrupts, but the message is there. */
static void polling(struct vp *vp)
{
	uint64_t before = vp->taken[SINT_VECTOR];

	open_sint(vp, SINT, HV_SINT_POLLING, EOI_MSR);
	ask_for_message(SINT);
	vp_check(vp, "a message", WAIT(type_of(vp, SINT) != 0), true);
	wait_for(2 * MILLISECOND);
	vp_check(vp, "no interrupt", vp->taken[SINT_VECTOR], before);
	give_back(vp, SINT);
}

/* A message that was there before its interrupt could be taken is still there after. */
static void held_back(struct vp *vp)
{
	uint64_t before = vp->taken[SINT_VECTOR], end = hv_now() + PATIENCE;

	open_sint(vp, SINT, 0, EOI_APIC);
	ask_for_message(SINT);
	while (type_of(vp, SINT) == 0 && hv_now() < end) {
		cpu_pause(); /* interrupts are off */
	}
	vp_check(vp, "a message", type_of(vp, SINT) != 0, true);
	vp_check(vp, "requested", apic_bit(APIC_IRR, SINT_VECTOR), true);
	vp_check(vp, "no interrupt yet", vp->taken[SINT_VECTOR], before);
	let_in();
	vp_check(vp, "its interrupt", WAIT(vp->taken[SINT_VECTOR] == before + 1), true);
	give_back(vp, SINT);
}

/* Until the controller is on, and has a page, nothing arrives; then it does. */
static void switched_off(struct vp *vp)
{
	uint64_t simp = rdmsr(HV_X64_MSR_SIMP), before = vp->taken[SINT_VECTOR];

	open_sint(vp, SINT, 0, EOI_MSR);
	wrmsr(HV_X64_MSR_SCONTROL, 0);
	ask_for_message(SINT);
	wait_for(2 * MILLISECOND);
	vp_check(vp, "nothing while it is off", type_of(vp, SINT), 0);
	wrmsr(HV_X64_MSR_SIMP, 0);
	wrmsr(HV_X64_MSR_SCONTROL, HV_SCONTROL_ENABLE);
	wait_for(MILLISECOND);
	vp_check(vp, "nothing without a page", type_of(vp, SINT), 0);
	wrmsr(HV_X64_MSR_SIMP, simp);
	vp_check(vp, "a message", WAIT(type_of(vp, SINT) != 0), true);
	vp_check(vp, "its interrupt", WAIT(vp->taken[SINT_VECTOR] == before + 1), true);
	give_back(vp, SINT);
}

static void close_sint(struct vp *vp)
{
	wrmsr(HV_X64_MSR_SINT0 + SINT, HV_SINT_MASKED);
	wrmsr(TIMER_CONFIG, 0);
	vp_check(vp, "the slot is free", type_of(vp, SINT), 0);
}

/* ---- Connections ---- */

static uint64_t post(uint32_t connection, uint32_t type, const void *payload, uint32_t bytes)
{
	struct hv_input_post_message in = {
		.connection_id = connection, .message_type = type, .payload_size = bytes};

	memcpy(in.payload, payload, bytes < sizeof(in.payload) ? bytes : sizeof(in.payload));
	return hypercall_with(HvCallPostMessage, &in, sizeof(in));
}

/* The host answers each request with a message; a second one waits for the first one's slot. */
static void test_answers(void)
{
	const uint32_t contact[10] = {INITIATE_CONTACT, 0, CONTACT_VERSION};
	uint64_t before = vps[0].taken[SINT_VECTOR];

	test_begin("messages to the host and back");
	open_sint(&vps[0], SINT, 0, EOI_MSR);
	CHECK_EQ(post(CONNECTION, 1, contact, sizeof(contact)), HV_STATUS_SUCCESS);
	CHECK_EQ(WAIT(type_of(&vps[0], SINT) != 0), true);
	CHECK_EQ(post(CONNECTION, 1, contact, sizeof(contact)), HV_STATUS_SUCCESS);
	CHECK_EQ(WAIT(__atomic_load_n(&slot(&vps[0], SINT)->flags, __ATOMIC_SEQ_CST) & 1), true);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(WAIT(type_of(&vps[0], SINT) != 0), true);
		CHECK_EQ(type_of(&vps[0], SINT), 1);
		CHECK_EQ(slot(&vps[0], SINT)->payload[0], VERSION_RESPONSE);
		CHECK_EQ(WAIT(vps[0].taken[SINT_VECTOR] == before + 1 + i), true);
		give_back(&vps[0], SINT);
	}
	test_end();
}

static void test_no_connection(void)
{
	const uint8_t text[8] = "nobody";

	test_begin("messages and events to nobody");
	CHECK_EQ(post(NO_CONNECTION, 1, text, sizeof(text)), HV_STATUS_INVALID_CONNECTION_ID);
	CHECK_EQ(post(CONNECTION, 1, text, HV_MESSAGE_PAYLOAD_BYTE_COUNT + 1),
		 HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(post(CONNECTION, 0, text, sizeof(text)), HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(post(CONNECTION, 0x80000001, text, sizeof(text)), HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(hypercall(HvCallSignalEvent | CONTROL_FAST, NO_CONNECTION, 0),
		 HV_STATUS_INVALID_CONNECTION_ID);
	test_end();
}

static void all(const char *name, void (*work)(struct vp *vp))
{
	test_begin(name);
	everywhere(work);
	test_end();
}

void hyperv_synic(void)
{
	uint64_t spared = 0;

	all("first values of the SynIC", first_values);
	test_vectors();
	all("messages, with EOI", with_eoi);
	all("messages, with automatic EOI", with_auto_eoi);
	all("messages, with EOI assist", with_assist);
	for (unsigned i = 0; i < vp_count; i++) {
		spared += vps[i].spared;
	}
	print("# EOIs that could be left out: ");
	print_decimal((unsigned)spared);
	print("\n");
	all("messages, polled", polling);
	all("messages before their interrupt", held_back);
	all("messages wait for the SynIC", switched_off);
	test_answers();
	test_no_connection();
	all("SINTs are closed", close_sint);
}
