// SPDX-License-Identifier: Apache-2.0
/*
 * The hypercall interface: one table, and the calling convention of guests and of the root. Spec: TLFS 3.
 *
 * Order of checks: caller (CPL, mode, page enabled: #UD), privilege, reserved bits, code, sizes, memory; then the call itself.
 */
#include "hypercall.h"

#define MAY(name) HV_PRIVILEGE_##name
#define PARENT MAY(CreatePartitions)
#define IN(type) sizeof(struct type)

#define SIMPLE(name, privilege_, in, out, fn)                                                      \
	{                                                                                          \
		.code = HvCall##name, .privilege = (privilege_), .input_bytes = (in),              \
		.output_bytes = (out), .call = (fn)                                                \
	}
#define VARIABLE(name, in, fn)                                                                     \
	{                                                                                          \
		.code = HvCall##name, .variable = true, .input_bytes = (in), .call = (fn)          \
	}
#define REP(name, privilege_, in, in_el, out_el, fn, done)                                         \
	{                                                                                          \
		.code = HvCall##name, .rep = true, .privilege = (privilege_), .input_bytes = (in), \
		.input_element = (in_el), .output_element = (out_el), .element = (fn),             \
		.reps_done = (done)                                                                \
	}

static const struct hv_call_entry table[] = {
	SIMPLE(FlushVirtualAddressSpace, 0, 24, 0, call_flush_space),
	REP(FlushVirtualAddressList, 0, 24, 8, 0, call_flush_list, call_flush_list_done),
	SIMPLE(NotifyLongSpinWait, 0, 8, 0, call_notify_long_spin_wait),
	SIMPLE(SendSyntheticClusterIpi, 0, 16, 0, call_send_ipi),
	VARIABLE(FlushVirtualAddressSpaceEx, 32, call_flush_space_ex),
	{.code = HvCallFlushVirtualAddressListEx,
	 .rep = true,
	 .variable = true,
	 .input_bytes = 32,
	 .input_element = 8,
	 .element = call_flush_list_ex,
	 .reps_done = call_flush_list_ex_done},
	VARIABLE(SendSyntheticClusterIpiEx, 24, call_send_ipi_ex),
	SIMPLE(PostMessage, MAY(PostMessages), IN(hv_input_post_message), 0, call_post_message),
	SIMPLE(SignalEvent, MAY(SignalEvents), IN(hv_input_signal_event), 0, call_signal_event),
	REP(GetVpRegisters, MAY(AccessVpRegisters), IN(hv_input_vp), 4, 16, call_get_vp_registers,
	    NULL),
	REP(SetVpRegisters, MAY(AccessVpRegisters), IN(hv_input_vp), 32, 0, call_set_vp_registers,
	    NULL),
	SIMPLE(GetPartitionId, MAY(AccessPartitionId), 0, 8, call_get_partition_id),
	SIMPLE(StartVirtualProcessor, MAY(StartVirtualProcessor),
	       IN(hv_input_start_virtual_processor), 0, call_start_virtual_processor),
	REP(GetVpIndexFromApicId, MAY(AccessVpIndex), 16, 4, 4, call_get_vp_index_from_apic_id,
	    NULL),

	SIMPLE(CreatePartition, PARENT, IN(hv_input_create_partition), 8, call_create_partition),
	SIMPLE(InitializePartition, PARENT, 8, 0, call_initialize_partition),
	SIMPLE(FinalizePartition, PARENT, 8, 0, call_finalize_partition),
	SIMPLE(DeletePartition, PARENT, 8, 0, call_delete_partition),
	SIMPLE(GetPartitionProperty, PARENT, 16, 8, call_get_partition_property),
	SIMPLE(SetPartitionProperty, PARENT, IN(hv_input_partition_property), 0,
	       call_set_partition_property),
	SIMPLE(GetNextChildPartition, PARENT, 16, 8, call_get_next_child_partition),
	REP(DepositMemory, PARENT, 8, 8, 0, call_deposit_memory, NULL),
	REP(WithdrawMemory, PARENT, 16, 0, 8, call_withdraw_memory, NULL),
	SIMPLE(GetMemoryBalance, PARENT, 16, 16, call_get_memory_balance),
	{.code = HvCallMapGpaPages,
	 .rep = true,
	 .privilege = PARENT,
	 .input_bytes = IN(hv_input_map_gpa),
	 .input_element = 8,
	 .elements = call_map_gpa_pages,
	 .reps_done = call_map_gpa_done},
	REP(UnmapGpaPages, PARENT, IN(hv_input_map_gpa), 0, 0, call_unmap_gpa_pages,
	    call_map_gpa_done),
	REP(ModifySparseGpaPages, PARENT, 16, 8, 0, call_modify_sparse_gpa_pages,
	    call_modify_sparse_gpa_done),
	{.code = HvCallGetGpaPagesAccessState,
	 .rep = true,
	 .privilege = PARENT,
	 .input_bytes = IN(hv_input_get_gpa_pages_access_state),
	 .output_element = 1,
	 .elements = call_get_gpa_pages_access_state},
	SIMPLE(InstallIntercept, PARENT, IN(hv_input_install_intercept), 0, call_install_intercept),
	SIMPLE(CreateVp, PARENT, IN(hv_input_create_vp), 0, call_create_vp),
	SIMPLE(DeleteVp, PARENT, 16, 0, call_delete_vp),
	SIMPLE(TranslateVirtualAddress, PARENT, IN(hv_input_translate_gva), 16,
	       call_translate_virtual_address),
	SIMPLE(ReadGpa, PARENT, 32, 24, call_read_gpa),
	SIMPLE(WriteGpa, PARENT, 48, 8, call_write_gpa),
	SIMPLE(AssertVirtualInterrupt, PARENT, IN(hv_input_assert_virtual_interrupt), 0,
	       call_assert_virtual_interrupt),
	SIMPLE(CreatePort, PARENT, IN(hv_input_create_port), 0, call_create_port),
	SIMPLE(DeletePort, PARENT, 16, 0, call_delete_port),
	SIMPLE(ConnectPort, PARENT, IN(hv_input_connect_port), 0, call_connect_port),
	SIMPLE(DisconnectPort, PARENT, 16, 0, call_disconnect_port),
	SIMPLE(SignalEventDirect, PARENT, IN(hv_input_signal_event_direct), 8,
	       call_signal_event_direct),
	SIMPLE(PostMessageDirect, PARENT, IN(hv_input_post_message_direct), 0,
	       call_post_message_direct),
};

/* Elements between two looks at the rest of the world: a guest's rep call gives way after so many. */
#define REP_SLICE 64u
#define FAST_BYTES_MAX 112u
#define FAST_BYTES_GPR 16u

static const struct hv_call_entry *find_entry(unsigned code)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].code == code) {
			return &table[i];
		}
	}
	return NULL;
}

struct hv_partition *call_partition(struct hv_call *c, uint64_t id)
{
	struct hv_partition *p;

	if (id == HV_PARTITION_ID_SELF || id == c->caller->id) {
		return c->caller;
	}
	if (c->vp != NULL) {
		return NULL;
	}
	hv_host_lock(&c->hv->lock);
	p = partition_find(c->hv, id);
	hv_host_unlock(&c->hv->lock);
	return p;
}

struct hv_vp *call_vp(struct hv_call *c, struct hv_partition *p, uint32_t index)
{
	if (index == HV_VP_INDEX_SELF) {
		return c->vp;
	}
	return vp_find(p, index);
}

/* ---- The control word ---- */

struct control {
	unsigned code;
	unsigned variable;
	unsigned rep_count;
	unsigned rep_start;
	bool fast;
	uint64_t word;
};

static struct control decode_control(uint64_t word)
{
	return (struct control){
		.code = (unsigned)(word & HV_HYPERCALL_CODE),
		.variable = (unsigned)bits_get(word, HV_HYPERCALL_VARHEAD_SHIFT,
					       HV_HYPERCALL_VARHEAD_BITS),
		.rep_count = (unsigned)bits_get(word, HV_HYPERCALL_REP_COUNT_SHIFT,
						HV_HYPERCALL_REP_BITS),
		.rep_start = (unsigned)bits_get(word, HV_HYPERCALL_REP_START_SHIFT,
						HV_HYPERCALL_REP_BITS),
		.fast = (word & HV_HYPERCALL_FAST) != 0,
		.word = word,
	};
}

static uint16_t check_control(const struct hv_partition *caller, const struct hv_call_entry *e,
			      const struct control *k)
{
	if (e != NULL && !partition_may(caller, e->privilege)) {
		return HV_STATUS_ACCESS_DENIED;
	}
	if (k->word & (HV_HYPERCALL_RSVDZ | HV_HYPERCALL_NESTED)) {
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	}
	if (e == NULL) {
		return HV_STATUS_INVALID_HYPERCALL_CODE;
	}
	if (!e->variable && k->variable != 0) {
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	}
	if (e->rep ? k->rep_count <= k->rep_start : (k->rep_count != 0 || k->rep_start != 0)) {
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	}
	return HV_STATUS_SUCCESS;
}

static size_t input_size(const struct hv_call_entry *e, const struct control *k)
{
	CHECK(e != NULL);
	return e->input_bytes + k->variable * 8u + (size_t)k->rep_count * e->input_element;
}

static size_t output_size(const struct hv_call_entry *e, const struct control *k)
{
	return e->output_bytes + (size_t)k->rep_count * e->output_element;
}

/*
 * Runs the call's elements from *@at up to @limit; *@at is the first one not done. A run of fewer than all is not an error.
 */
static uint16_t run_elements(struct hv_call *c, unsigned *at, unsigned limit)
{
	unsigned first = *at;
	uint16_t status = HV_STATUS_SUCCESS;

	if (c->entry->elements != NULL) {
		status = c->entry->elements(c, at, limit);
	}
	while (c->entry->element != NULL && *at < limit && status == HV_STATUS_SUCCESS) {
		status = c->entry->element(c, *at);
		*at += status == HV_STATUS_SUCCESS;
	}
	if (c->entry->reps_done != NULL && *at > first) {
		c->entry->reps_done(c, first, *at);
	}
	return status;
}

static uint64_t make_result(uint16_t status, unsigned reps)
{
	return status | (uint64_t)reps << HV_HYPERCALL_REP_COUNT_SHIFT;
}

/* ---- The root ---- */

uint64_t hv_root_hypercall(struct hv *hv, uint64_t control, const void *input, void *output)
{
	struct control k = decode_control(control);
	const struct hv_call_entry *e = find_entry(k.code);
	struct hv_call c = {
		.hv = hv, .caller = hv->root, .entry = e, .input = input, .output = output};
	unsigned at = k.rep_start;
	uint16_t status = check_control(hv->root, e, &k);

	if (status != HV_STATUS_SUCCESS) {
		return make_result(status, 0);
	}
	if (k.fast || input_size(e, &k) > HV_PAGE_SIZE || output_size(e, &k) > HV_PAGE_SIZE ||
	    ((uintptr_t)input & 7) || ((uintptr_t)output & 7) ||
	    (input == NULL && input_size(e, &k) != 0) ||
	    (output == NULL && output_size(e, &k) != 0)) {
		return make_result(HV_STATUS_INVALID_HYPERCALL_INPUT, 0);
	}
	c.variable = k.variable;
	c.rep_count = k.rep_count;
	c.rep_start = k.rep_start;
	if (!e->rep) {
		return make_result(e->call(&c), 0);
	}
	status = run_elements(&c, &at, k.rep_count);
	return make_result(status, at);
}

/* ---- Guests ---- */

struct guest_call {
	struct hv_vp *vp;
	struct control k;
	struct hv_call c;
	bool wide;	       /* 64-bit caller */
	uint64_t parameter[2]; /* input and output GPA, or fast input */
	size_t input_bytes;
	size_t output_bytes;
};

static uint64_t pair32(struct hv_vp *vp, uint32_t high, uint32_t low)
{
	return (vp_reg(vp, high) & UINT32_MAX) << 32 | (vp_reg(vp, low) & UINT32_MAX);
}

static void set_pair32(struct hv_vp *vp, uint32_t high, uint32_t low, uint64_t value)
{
	vp_reg_set(vp, high, value >> 32);
	vp_reg_set(vp, low, value & UINT32_MAX);
}

static void read_registers(struct guest_call *g)
{
	struct hv_vp *vp = g->vp;
	struct hv_u128 cs = {0, 0};
	struct hv_x64_segment_register s;

	vp_ops(vp)->reg_get(vp->engine, HvX64RegisterCs, &cs);
	__builtin_memcpy(&s, &cs, sizeof(s));
	g->wide = (vp_reg(vp, HvX64RegisterEfer) & X86_EFER_LMA) && (s.attributes & X86_SEG_L);
	if (g->wide) {
		g->k = decode_control(vp_reg(vp, HvX64RegisterRcx));
		g->parameter[0] = vp_reg(vp, HvX64RegisterRdx);
		g->parameter[1] = vp_reg(vp, HvX64RegisterR8);
	} else {
		g->k = decode_control(pair32(vp, HvX64RegisterRdx, HvX64RegisterRax));
		g->parameter[0] = pair32(vp, HvX64RegisterRbx, HvX64RegisterRcx);
		g->parameter[1] = pair32(vp, HvX64RegisterRdi, HvX64RegisterRsi);
	}
}

/* Spec: TLFS 3.5: only the most privileged mode may call, through an enabled hypercall page. */
static bool caller_allowed(struct hv_vp *vp)
{
	struct hv_u128 ss = {0, 0};
	struct hv_x64_segment_register s;

	vp_ops(vp)->reg_get(vp->engine, HvX64RegisterSs, &ss);
	__builtin_memcpy(&s, &ss, sizeof(s));
	return (vp_reg(vp, HvX64RegisterCr0) & X86_CR0_PE) &&
	       !(vp_reg(vp, HvX64RegisterRflags) & X86_VM) && (s.attributes & X86_SEG_DPL) == 0 &&
	       (__atomic_load_n(&vp->partition->hypercall_page.msr, __ATOMIC_RELAXED) &
		HV_MSR_PAGE_ENABLE);
}

static void undefined_opcode(struct hv_vp *vp)
{
	vp_ops(vp)->inject_exception(vp->engine, X86_EXC_UD, false, 0, 0);
}

static void finish(struct guest_call *g, uint64_t result)
{
	uint64_t none[4] = {0};

	if (g->wide) {
		vp_reg_set(g->vp, HvX64RegisterRax, result);
	} else {
		set_pair32(g->vp, HvX64RegisterRdx, HvX64RegisterRax, result);
	}
	vp_ops(g->vp)->complete(g->vp->engine, none);
}

/* The guest runs the instruction again and finds the new rep start index in its control register. */
static void continue_later(struct guest_call *g, unsigned at)
{
	uint64_t mask = ((UINT64_C(1) << HV_HYPERCALL_REP_BITS) - 1)
			<< HV_HYPERCALL_REP_START_SHIFT;
	uint64_t word = (g->k.word & ~mask) | (uint64_t)at << HV_HYPERCALL_REP_START_SHIFT;

	if (g->wide) {
		vp_reg_set(g->vp, HvX64RegisterRcx, word);
	} else {
		set_pair32(g->vp, HvX64RegisterRdx, HvX64RegisterRax, word);
	}
	vp_ops(g->vp)->abandon(g->vp->engine);
}

/* ---- Parameters in registers ---- */

static void read_fast_input(struct guest_call *g)
{
	store_le64(g->vp->call_input, g->parameter[0]);
	store_le64(g->vp->call_input + 8, g->parameter[1]);
	for (uint32_t i = 0; FAST_BYTES_GPR + 16 * i < g->input_bytes; i++) {
		struct hv_u128 v = {0, 0};

		vp_ops(g->vp)->reg_get(g->vp->engine, HvX64RegisterXmm0 + i, &v);
		__builtin_memcpy(g->vp->call_input + FAST_BYTES_GPR + 16 * i, &v, 16);
	}
}

/* Output follows the input, at the next register pair. */
static void write_fast_output(struct guest_call *g, size_t bytes)
{
	size_t at = align_up(g->input_bytes, 16);

	for (size_t done = 0; done < bytes; done += 16, at += 16) {
		struct hv_u128 v;

		__builtin_memcpy(&v, g->vp->call_output + done, 16);
		if (at > 0) {
			vp_ops(g->vp)->reg_set(g->vp->engine,
					       HvX64RegisterXmm0 + (uint32_t)(at / 16 - 1), &v);
		} else if (g->wide) {
			vp_reg_set(g->vp, HvX64RegisterRdx, v.lo);
			vp_reg_set(g->vp, HvX64RegisterR8, v.hi);
		} else {
			set_pair32(g->vp, HvX64RegisterRbx, HvX64RegisterRcx, v.lo);
			set_pair32(g->vp, HvX64RegisterRdi, HvX64RegisterRsi, v.hi);
		}
	}
}

/* False: #UD was raised. */
static bool check_fast(struct guest_call *g, uint16_t *ret_status)
{
	size_t total = align_up(g->input_bytes, 16) + g->output_bytes;

	*ret_status = HV_STATUS_SUCCESS;
	if (g->output_bytes != 0 && !partition_may(g->vp->partition, MAY(FastHypercallOutput))) {
		undefined_opcode(g->vp);
		return false;
	}
	if (total > FAST_BYTES_MAX) {
		*ret_status = HV_STATUS_INVALID_HYPERCALL_INPUT;
	}
	return true;
}

/* ---- Parameters in memory ---- */

static uint16_t check_gpa(const struct guest_call *g, uint64_t gpa, size_t bytes, uint32_t rights)
{
	const struct gmem *gm = &g->vp->partition->gmem;
	uint64_t entry;

	if (bytes == 0) {
		return HV_STATUS_SUCCESS;
	}
	if ((gpa & 7) || (gpa & (HV_PAGE_SIZE - 1)) + bytes > HV_PAGE_SIZE || gpa >> gm->pa_bits) {
		return HV_STATUS_INVALID_ALIGNMENT;
	}
	entry = gmem_entry(gm, gpa >> HV_PAGE_SHIFT);
	/* Decision: a page that is not there is the caller's mistake, not an intercept: parameters never lie in MMIO. */
	if (gmem_entry_page(entry) == NULL || (entry & GMEM_OVERLAY) ||
	    (entry & rights) != rights) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	return HV_STATUS_SUCCESS;
}

static bool overlap(const struct guest_call *g)
{
	return g->input_bytes != 0 && g->output_bytes != 0 &&
	       g->parameter[0] < g->parameter[1] + g->output_bytes &&
	       g->parameter[1] < g->parameter[0] + g->input_bytes;
}

static uint16_t fetch(struct guest_call *g)
{
	uint16_t status = check_gpa(g, g->parameter[0], g->input_bytes, GMEM_R);

	if (status == HV_STATUS_SUCCESS) {
		status = check_gpa(g, g->parameter[1], g->output_bytes, GMEM_W);
	}
	if (status == HV_STATUS_SUCCESS && overlap(g)) {
		status = HV_STATUS_INVALID_PARAMETER;
	}
	if (status == HV_STATUS_SUCCESS && g->input_bytes != 0 &&
	    !gmem_read(&g->vp->partition->gmem, g->parameter[0], g->vp->call_input,
		       g->input_bytes)) {
		status = HV_STATUS_INVALID_PARAMETER;
	}
	return status;
}

static void write_output(struct guest_call *g, size_t from, size_t to)
{
	if (to > from) {
		gmem_write(&g->vp->partition->gmem, g->parameter[1] + from,
			   g->vp->call_output + from, to - from);
	}
}

/* ---- One call ---- */

static void invoke_simple(struct guest_call *g)
{
	uint16_t status = g->c.entry->call(&g->c);

	if (g->c.intercept) {
		return;
	}
	if (g->c.again) {
		vp_ops(g->vp)->abandon(g->vp->engine);
		return;
	}
	if (status == HV_STATUS_SUCCESS && g->k.fast) {
		write_fast_output(g, g->output_bytes);
	} else if (status == HV_STATUS_SUCCESS) {
		write_output(g, 0, g->output_bytes);
	}
	finish(g, make_result(status, 0));
}

static void invoke_rep(struct guest_call *g)
{
	const struct hv_call_entry *e = g->c.entry;
	unsigned at = g->k.rep_start;
	unsigned limit = (unsigned)min_u64(g->k.rep_count, (uint64_t)at + REP_SLICE);
	uint16_t status = run_elements(&g->c, &at, limit);

	if (g->k.fast) {
		write_fast_output(g, at * (size_t)e->output_element);
	} else {
		write_output(g, g->k.rep_start * (size_t)e->output_element,
			     at * (size_t)e->output_element);
	}
	if (status == HV_STATUS_SUCCESS && at < g->k.rep_count) {
		continue_later(g, at);
		return;
	}
	finish(g, make_result(status, at));
}

/* Everything that can fail before the call acts. False: finished here. */
static bool prepare(struct guest_call *g)
{
	uint16_t status = check_control(g->vp->partition, g->c.entry, &g->k);

	if (status == HV_STATUS_SUCCESS) {
		g->input_bytes = input_size(g->c.entry, &g->k);
		g->output_bytes = output_size(g->c.entry, &g->k);
		if (g->k.fast) {
			if (!check_fast(g, &status)) {
				return false;
			}
		} else {
			status = fetch(g);
		}
	}
	if (status != HV_STATUS_SUCCESS) {
		finish(g, make_result(status, 0));
		return false;
	}
	if (g->k.fast) {
		read_fast_input(g);
	}
	__builtin_memset(g->vp->call_output, 0,
			 min_u64(align_up(g->output_bytes, 16), HV_PAGE_SIZE));
	return true;
}

bool hypercall_guest(struct hv_vp *vp)
{
	struct guest_call g = {.vp = vp};

	if (!caller_allowed(vp)) {
		undefined_opcode(vp);
		return true;
	}
	read_registers(&g);
	counter_add(&vp->call_counts[min_u64(g.k.code, HV_STATS_CALLS - 1)]);
	g.c = (struct hv_call){.hv = vp->partition->hv,
			       .caller = vp->partition,
			       .vp = vp,
			       .entry = find_entry(g.k.code),
			       .input = vp->call_input,
			       .output = vp->call_output,
			       .variable = g.k.variable,
			       .rep_count = g.k.rep_count,
			       .rep_start = g.k.rep_start};
	if (g.c.entry == NULL && vp->partition->intercepts.hypercall) {
		message_hypercall(vp, vp->message);
		return false;
	}
	if (!prepare(&g)) {
		return true;
	}
	if (g.c.entry->rep) {
		invoke_rep(&g);
	} else {
		invoke_simple(&g);
	}
	if (g.c.intercept) {
		message_hypercall(vp, vp->message);
	}
	return !g.c.intercept;
}
