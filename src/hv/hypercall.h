/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hypercalls, after decoding. Every call is one table row (hypercall.c); the generic part checks privilege, control word and sizes,
 * fetches the parameters once, and only then calls the handler, which works on its private copy.
 */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include "core.h"

struct hv_call {
	struct hv *hv;
	struct hv_partition *caller;
	struct hv_vp *vp; /* NULL: the root */
	const struct hv_call_entry *entry;
	const uint8_t *input; /* header, variable header, elements */
	uint8_t *output;      /* header, elements; zeroed */
	unsigned variable;    /* qwords of variable header */
	unsigned rep_count;
	unsigned rep_start;
	bool intercept; /* set by a handler: the parent is to answer this call */
	bool again; /* set by a simple handler that has done nothing: the guest shall make the call once more */
};

/* Handlers return an HV_STATUS. A rep handler does one element; reps_done is called after each run of elements [first, end). */
struct hv_call_entry {
	uint16_t code;
	bool rep;
	bool variable;
	uint64_t privilege;
	uint16_t input_bytes;
	uint16_t input_element;
	uint16_t output_bytes;
	uint16_t output_element;
	uint16_t (*call)(struct hv_call *c);
	uint16_t (*element)(struct hv_call *c, unsigned n);
	/* Instead of element: does elements from *at up to @limit, leaves *at at the first one not done. */
	uint16_t (*elements)(struct hv_call *c, unsigned *at, unsigned limit);
	void (*reps_done)(struct hv_call *c, unsigned first, unsigned end);
};

static inline const void *call_element(const struct hv_call *c, unsigned n)
{
	return c->input + c->entry->input_bytes + c->variable * 8u + n * c->entry->input_element;
}

static inline void *call_output_element(const struct hv_call *c, unsigned n)
{
	return c->output + c->entry->output_bytes + n * c->entry->output_element;
}

/* SELF, the caller's own id, or (root) a child's. NULL: HV_STATUS_INVALID_PARTITION_ID. */
struct hv_partition *call_partition(struct hv_call *c, uint64_t id);
/* The VP @index of @p; SELF is the calling VP. */
struct hv_vp *call_vp(struct hv_call *c, struct hv_partition *p, uint32_t index);

/* hypercall_partition.c */
uint16_t call_create_partition(struct hv_call *c);
uint16_t call_initialize_partition(struct hv_call *c);
uint16_t call_finalize_partition(struct hv_call *c);
uint16_t call_delete_partition(struct hv_call *c);
uint16_t call_get_partition_property(struct hv_call *c);
uint16_t call_set_partition_property(struct hv_call *c);
uint16_t call_get_partition_id(struct hv_call *c);
uint16_t call_get_next_child_partition(struct hv_call *c);
uint16_t call_install_intercept(struct hv_call *c);

/* hypercall_memory.c */
uint16_t call_deposit_memory(struct hv_call *c, unsigned n);
uint16_t call_withdraw_memory(struct hv_call *c, unsigned n);
uint16_t call_get_memory_balance(struct hv_call *c);
uint16_t call_map_gpa_pages(struct hv_call *c, unsigned *at, unsigned limit);
void call_map_gpa_done(struct hv_call *c, unsigned first, unsigned end);
uint16_t call_unmap_gpa_pages(struct hv_call *c, unsigned n);
uint16_t call_modify_sparse_gpa_pages(struct hv_call *c, unsigned n);
void call_modify_sparse_gpa_done(struct hv_call *c, unsigned first, unsigned end);
uint16_t call_get_gpa_pages_access_state(struct hv_call *c, unsigned *at, unsigned limit);
uint16_t call_translate_virtual_address(struct hv_call *c);
uint16_t call_read_gpa(struct hv_call *c);
uint16_t call_write_gpa(struct hv_call *c);

/* hypercall_vp.c */
uint16_t call_create_vp(struct hv_call *c);
uint16_t call_delete_vp(struct hv_call *c);
uint16_t call_get_vp_registers(struct hv_call *c, unsigned n);
uint16_t call_set_vp_registers(struct hv_call *c, unsigned n);
uint16_t call_start_virtual_processor(struct hv_call *c);
uint16_t call_get_vp_index_from_apic_id(struct hv_call *c, unsigned n);
uint16_t call_assert_virtual_interrupt(struct hv_call *c);
uint16_t call_notify_long_spin_wait(struct hv_call *c);

/* hypercall_flush.c */
uint16_t call_flush_space(struct hv_call *c);
uint16_t call_flush_space_ex(struct hv_call *c);
uint16_t call_flush_list(struct hv_call *c, unsigned n);
void call_flush_list_done(struct hv_call *c, unsigned first, unsigned end);
uint16_t call_flush_list_ex(struct hv_call *c, unsigned n);
void call_flush_list_ex_done(struct hv_call *c, unsigned first, unsigned end);
uint16_t call_send_ipi(struct hv_call *c);
uint16_t call_send_ipi_ex(struct hv_call *c);

/* hypercall_port.c */
uint16_t call_post_message(struct hv_call *c);
uint16_t call_signal_event(struct hv_call *c);
uint16_t call_create_port(struct hv_call *c);
uint16_t call_delete_port(struct hv_call *c);
uint16_t call_connect_port(struct hv_call *c);
uint16_t call_disconnect_port(struct hv_call *c);
uint16_t call_signal_event_direct(struct hv_call *c);
uint16_t call_post_message_direct(struct hv_call *c);

#endif
