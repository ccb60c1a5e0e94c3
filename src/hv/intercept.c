// SPDX-License-Identifier: Apache-2.0
/* Which events go to the parent, and the messages that tell it. Spec: TLFS 13. */
#include "core.h"

struct intercept_entry {
	struct intercept_entry *next;
	uint32_t type; /* HvInterceptTypeX64MsrIndex or HvInterceptTypeX64Cpuid */
	uint32_t index;
	uint32_t access;
};

/* ---- Installation ---- */

static bool port_maps_alloc(struct hv_partition *p)
{
	uint32_t **maps[] = {&p->intercepts.port_read, &p->intercepts.port_read_high,
			     &p->intercepts.port_write, &p->intercepts.port_write_high};

	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		if (*maps[i] == NULL) {
			*maps[i] = pool_page_alloc(&p->pool);
		}
		if (*maps[i] == NULL) {
			return false;
		}
	}
	return true;
}

static uint32_t *port_word(const struct hv_partition *p, uint16_t port, bool write)
{
	const struct intercepts *in = &p->intercepts;
	uint32_t *low = write ? in->port_write : in->port_read;
	uint32_t *high = write ? in->port_write_high : in->port_read_high;

	return (port < 0x8000 ? low : high) + (port & 0x7FFF) / 32;
}

/* @port alone, or with @word the 32 ports from there on. */
static void set_ports(struct hv_partition *p, uint16_t port, bool word, bool write, bool on)
{
	uint32_t bits = word ? UINT32_MAX : BIT32(port % 32);

	if (on) {
		__atomic_fetch_or(port_word(p, port, write), bits, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_and(port_word(p, port, write), ~bits, __ATOMIC_RELAXED);
	}
}

static uint16_t install_ports(struct hv_partition *p, uint32_t access, uint64_t first,
			      uint64_t last)
{
	if ((access & HV_INTERCEPT_ACCESS_MASK_EXECUTE) || first > last || last > 0xFFFF) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (!port_maps_alloc(p)) {
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	for (uint64_t port = first; port <= last;) {
		bool word = port % 32 == 0 && last - port >= 31;

		set_ports(p, (uint16_t)port, word, false,
			  (access & HV_INTERCEPT_ACCESS_MASK_READ) != 0);
		set_ports(p, (uint16_t)port, word, true,
			  (access & HV_INTERCEPT_ACCESS_MASK_WRITE) != 0);
		port += word ? 32 : 1;
	}
	return HV_STATUS_SUCCESS;
}

static struct intercept_entry *entry_find(const struct hv_partition *p, uint32_t type,
					  uint32_t index)
{
	struct intercept_entry *e = __atomic_load_n(&p->intercepts.entries, __ATOMIC_ACQUIRE);

	while (e != NULL && (e->type != type || e->index != index)) {
		e = e->next;
	}
	return e;
}

/* Entries are never taken off the list while VPs may look at it: a mask of 0 does the same. */
static uint16_t install_entry(struct hv_partition *p, uint32_t type, uint32_t index,
			      uint32_t access)
{
	struct intercept_entry *e = entry_find(p, type, index);

	if (e == NULL) {
		e = pool_alloc(&p->pool, sizeof(*e));
		if (e == NULL) {
			return HV_STATUS_INSUFFICIENT_MEMORY;
		}
		*e = (struct intercept_entry){
			.next = p->intercepts.entries, .type = type, .index = index};
		e->access = access;
		__atomic_store_n(&p->intercepts.entries, e, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&e->access, access, __ATOMIC_RELAXED);
	return HV_STATUS_SUCCESS;
}

static uint16_t install_exception(struct hv_partition *p, uint32_t access, uint64_t vector)
{
	uint32_t mask = p->intercepts.exceptions;

	if (vector > 31) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	mask = access != 0 ? mask | BIT32(vector) : mask & ~BIT32(vector);
	p->intercepts.exceptions = mask;
	p->hv->engine->intercept_exceptions(p->engine, mask);
	return HV_STATUS_SUCCESS;
}

static uint16_t install_locked(struct hv_partition *p, const struct hv_input_install_intercept *in)
{
	struct intercepts *ic = &p->intercepts;

	switch (in->intercept_type) {
	case HvInterceptTypeX64IoPort:
		return install_ports(p, in->access_type, in->parameter, in->parameter);
	case HvInterceptTypeX64IoPortRange:
		if (in->parameter >> 32 != 0) {
			return HV_STATUS_INVALID_PARAMETER;
		}
		return install_ports(p, in->access_type, in->parameter & 0xFFFF,
				     in->parameter >> 16);
	case HvInterceptTypeX64Msr:
		ic->msr_any = in->access_type;
		return HV_STATUS_SUCCESS;
	case HvInterceptTypeX64MsrIndex:
		return install_entry(p, HvInterceptTypeX64MsrIndex, (uint32_t)in->parameter,
				     in->access_type);
	case HvInterceptTypeX64Cpuid:
		return install_entry(p, HvInterceptTypeX64Cpuid, (uint32_t)in->parameter,
				     in->access_type);
	case HvInterceptTypeX64GlobalCpuid:
		ic->cpuid_any = in->access_type;
		return HV_STATUS_SUCCESS;
	case HvInterceptTypeException:
		return install_exception(p, in->access_type, in->parameter);
	case HvInterceptTypeMmio:
		ic->mmio = in->access_type;
		return HV_STATUS_SUCCESS;
	case HvInterceptTypeHypercall:
		ic->hypercall = in->access_type != 0;
		return HV_STATUS_SUCCESS;
	case HvInterceptTypeUnknownSynicConnection:
		ic->unknown_connection = in->access_type != 0;
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

uint16_t intercept_install(struct hv_partition *p, const struct hv_input_install_intercept *in)
{
	uint16_t status;

	if (in->access_type & ~(HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE |
				HV_INTERCEPT_ACCESS_MASK_EXECUTE)) {
		return HV_STATUS_INVALID_PARAMETER;
	}
	if (p->state != PARTITION_ACTIVE) {
		return HV_STATUS_INVALID_PARTITION_STATE;
	}
	hv_host_lock(&p->lock);
	status = install_locked(p, in);
	hv_host_unlock(&p->lock);
	return status;
}

void intercept_fini(struct hv_partition *p)
{
	struct intercepts *ic = &p->intercepts;
	struct intercept_entry *e;

	while ((e = ic->entries) != NULL) {
		ic->entries = e->next;
		pool_free(&p->pool, e);
	}
	pool_page_free(&p->pool, ic->port_read);
	pool_page_free(&p->pool, ic->port_read_high);
	pool_page_free(&p->pool, ic->port_write);
	pool_page_free(&p->pool, ic->port_write_high);
	*ic = (struct intercepts){0};
}

bool intercept_port(const struct hv_partition *p, uint16_t port, bool write)
{
	if (p->intercepts.port_write_high == NULL) {
		return false;
	}
	return (__atomic_load_n(port_word(p, port, write), __ATOMIC_RELAXED) >> (port % 32)) & 1;
}

static bool listed(const struct hv_partition *p, uint32_t type, uint32_t index, uint32_t access)
{
	const struct intercept_entry *e = entry_find(p, type, index);

	return e != NULL && (__atomic_load_n(&e->access, __ATOMIC_RELAXED) & access) != 0;
}

bool intercept_msr(const struct hv_partition *p, uint32_t index, bool write)
{
	uint32_t access = write ? HV_INTERCEPT_ACCESS_MASK_WRITE : HV_INTERCEPT_ACCESS_MASK_READ;

	return (p->intercepts.msr_any & access) ||
	       listed(p, HvInterceptTypeX64MsrIndex, index, access);
}

bool intercept_cpuid(const struct hv_partition *p, uint32_t leaf)
{
	return p->intercepts.cpuid_any != 0 ||
	       listed(p, HvInterceptTypeX64Cpuid, leaf, HV_INTERCEPT_ACCESS_MASK_EXECUTE);
}

/* ---- Messages ---- */

static void get_segment(struct hv_vp *vp, uint32_t name, struct hv_x64_segment_register *ret)
{
	struct hv_u128 v = {0, 0};

	vp_ops(vp)->reg_get(vp->engine, name, &v);
	__builtin_memcpy(ret, &v, sizeof(*ret));
}

static uint16_t execution_state(struct hv_vp *vp)
{
	struct hv_x64_segment_register ss;
	uint64_t cr0 = vp_reg(vp, HvX64RegisterCr0);
	uint16_t state = 0;

	get_segment(vp, HvX64RegisterSs, &ss);
	if (cr0 & X86_CR0_PE) {
		state |= HV_EXECUTION_STATE_CR0_PE | ((ss.attributes >> X86_SEG_DPL_SHIFT) & 3);
	}
	if (cr0 & X86_CR0_AM) {
		state |= HV_EXECUTION_STATE_CR0_AM;
	}
	if (vp_reg(vp, HvX64RegisterEfer) & X86_EFER_LMA) {
		state |= HV_EXECUTION_STATE_EFER_LMA;
	}
	return state;
}

static void fill_header(struct hv_vp *vp, uint8_t insn_bytes, uint8_t access,
			struct hv_x64_intercept_message_header *h)
{
	h->vp_index = vp->index;
	h->instruction_length = (uint8_t)((insn_bytes & 0xF) | (vp->lapic.tpr & 0xF0));
	h->intercept_access_type = access;
	h->execution_state = execution_state(vp);
	get_segment(vp, HvX64RegisterCs, &h->cs);
	h->rip = vp_reg(vp, HvX64RegisterRip);
	h->rflags = vp_reg(vp, HvX64RegisterRflags);
}

static void finish(struct hv_message *m, uint32_t type, const void *payload, size_t bytes)
{
	*m = (struct hv_message){.type = type, .payload_size = (uint8_t)bytes};
	__builtin_memcpy(m->payload, payload, bytes);
}

void message_port(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret)
{
	struct hv_x64_io_port_intercept_message m = {0};

	fill_header(vp, exit->insn_bytes, exit->port.write, &m.header);
	m.port_number = exit->port.port;
	m.access_info =
		(uint8_t)(exit->port.bytes | (exit->port.string ? HV_IO_PORT_ACCESS_STRING : 0) |
			  (exit->port.rep ? HV_IO_PORT_ACCESS_REP : 0));
	m.rax = exit->port.write ? exit->port.data : vp_reg(vp, HvX64RegisterRax);
	get_segment(vp, HvX64RegisterDs, &m.ds);
	get_segment(vp, HvX64RegisterEs, &m.es);
	m.rcx = vp_reg(vp, HvX64RegisterRcx);
	m.rsi = vp_reg(vp, HvX64RegisterRsi);
	m.rdi = vp_reg(vp, HvX64RegisterRdi);
	finish(ret, (uint32_t)HvMessageTypeX64IoPortIntercept, &m, sizeof(m));
}

void message_memory(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret)
{
	struct hv_x64_memory_intercept_message m = {0};
	uint32_t type = (uint32_t)(exit->memory.mapped ? HvMessageTypeGpaIntercept
						       : HvMessageTypeUnmappedGpa);

	fill_header(vp, exit->insn_bytes, exit->memory.access, &m.header);
	m.memory_access_info = exit->memory.gva_valid
				       ? HV_MEMORY_ACCESS_GVA_VALID | HV_MEMORY_ACCESS_GVA_GPA_VALID
				       : 0;
	m.tpr_priority = (uint8_t)(vp->lapic.tpr >> 4);
	m.gva = exit->memory.gva;
	m.gpa = exit->memory.gpa;
	m.access_data = exit->memory.access == HV_ACCESS_WRITE ? exit->memory.data : 0;
	m.access_bytes = exit->memory.access == HV_ACCESS_EXECUTE ? 0 : exit->memory.bytes;
	finish(ret, type, &m, sizeof(m));
}

void message_msr(struct hv_vp *vp, uint32_t index, bool write, uint64_t data,
		 struct hv_message *ret)
{
	struct hv_x64_msr_intercept_message m = {0};

	fill_header(vp, vp->exit.insn_bytes, write, &m.header);
	m.msr_number = index;
	if (write) {
		m.rdx = data >> 32;
		m.rax = data & UINT32_MAX;
	}
	finish(ret, (uint32_t)HvMessageTypeMsrIntercept, &m, sizeof(m));
}

void message_cpuid(struct hv_vp *vp, const struct hv_exit *exit, const uint32_t answer[4],
		   struct hv_message *ret)
{
	struct hv_x64_cpuid_intercept_message m = {0};

	fill_header(vp, exit->insn_bytes, HV_INTERCEPT_ACCESS_EXECUTE, &m.header);
	m.rax = exit->cpuid.leaf;
	m.rcx = exit->cpuid.subleaf;
	m.rdx = vp_reg(vp, HvX64RegisterRdx);
	m.rbx = vp_reg(vp, HvX64RegisterRbx);
	m.default_result_rax = answer[0];
	m.default_result_rbx = answer[1];
	m.default_result_rcx = answer[2];
	m.default_result_rdx = answer[3];
	finish(ret, (uint32_t)HvMessageTypeX64CpuidIntercept, &m, sizeof(m));
}

void message_exception(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret)
{
	struct hv_x64_exception_intercept_message m = {0};

	fill_header(vp, exit->insn_bytes, HV_INTERCEPT_ACCESS_EXECUTE, &m.header);
	m.exception_vector = exit->exception.vector;
	m.exception_info = exit->exception.has_error ? HV_EXCEPTION_ERROR_CODE_VALID : 0;
	m.error_code = exit->exception.error;
	m.exception_parameter = exit->exception.parameter;
	finish(ret, (uint32_t)HvMessageTypeExceptionIntercept, &m, sizeof(m));
}

void message_simple(struct hv_vp *vp, uint32_t type, struct hv_message *ret)
{
	struct hv_x64_intercept_message_header h = {0};

	fill_header(vp, 0, HV_INTERCEPT_ACCESS_EXECUTE, &h);
	finish(ret, type, &h, sizeof(h));
}

void message_text(struct hv_vp *vp, uint32_t type, const char *text, struct hv_message *ret)
{
	size_t at = sizeof(struct hv_x64_intercept_message_header);

	message_simple(vp, type, ret);
	while (text != NULL && *text != '\0' && at < HV_MESSAGE_PAYLOAD_BYTE_COUNT - 1) {
		ret->payload[at++] = (uint8_t)*text++;
	}
	ret->payload_size = (uint8_t)at;
}

void message_hypercall(struct hv_vp *vp, struct hv_message *ret)
{
	struct hv_x64_hypercall_intercept_message m = {0};

	fill_header(vp, vp->exit.insn_bytes, HV_INTERCEPT_ACCESS_EXECUTE, &m.header);
	m.rax = vp_reg(vp, HvX64RegisterRax);
	m.rbx = vp_reg(vp, HvX64RegisterRbx);
	m.rcx = vp_reg(vp, HvX64RegisterRcx);
	m.rdx = vp_reg(vp, HvX64RegisterRdx);
	m.r8 = vp_reg(vp, HvX64RegisterR8);
	m.rsi = vp_reg(vp, HvX64RegisterRsi);
	m.rdi = vp_reg(vp, HvX64RegisterRdi);
	for (uint32_t i = 0; i < 6; i++) {
		struct hv_u128 v = {0, 0};

		vp_ops(vp)->reg_get(vp->engine, HvX64RegisterXmm0 + i, &v);
		m.xmm[i][0] = v.lo;
		m.xmm[i][1] = v.hi;
	}
	finish(ret, (uint32_t)HvMessageTypeHypercallIntercept, &m, sizeof(m));
}

void message_apic_eoi(struct hv_vp *vp, uint8_t vector, struct hv_message *ret)
{
	struct hv_x64_apic_eoi_message m = {vp->index, vector};

	finish(ret, (uint32_t)HvMessageTypeX64ApicEoi, &m, sizeof(m));
}
