// SPDX-License-Identifier: Apache-2.0
/* Partition life cycle, properties and intercepts. Spec: TLFS 5 and 13. */
#include "hypercall.h"

/* A child of the caller; never the caller itself. */
static struct hv_partition *child_of(struct hv_call *c, uint64_t id)
{
	struct hv_partition *p = call_partition(c, id);

	return p == c->caller ? NULL : p;
}

uint16_t call_create_partition(struct hv_call *c)
{
	uint64_t id;
	uint16_t status = partition_create(c->hv, (const void *)c->input, &id);

	if (status == HV_STATUS_SUCCESS) {
		store_le64(c->output, id);
	}
	return status;
}

static uint16_t on_child(struct hv_call *c, uint16_t (*act)(struct hv_partition *p))
{
	struct hv_partition *p = child_of(c, load_le64(c->input));

	return p == NULL ? HV_STATUS_INVALID_PARTITION_ID : act(p);
}

uint16_t call_initialize_partition(struct hv_call *c)
{
	return on_child(c, partition_initialize);
}

uint16_t call_finalize_partition(struct hv_call *c)
{
	return on_child(c, partition_finalize);
}

uint16_t call_delete_partition(struct hv_call *c)
{
	return on_child(c, partition_delete);
}

uint16_t call_get_partition_property(struct hv_call *c)
{
	struct hv_partition *p = child_of(c, load_le64(c->input));
	uint16_t status;
	uint64_t value;

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	status = property_get(p, load_le32(c->input + 8), &value);
	if (status == HV_STATUS_SUCCESS) {
		store_le64(c->output, value);
	}
	return status;
}

uint16_t call_set_partition_property(struct hv_call *c)
{
	struct hv_partition *p = child_of(c, load_le64(c->input));

	if (p == NULL) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	return property_set(p, load_le32(c->input + 8), load_le64(c->input + 16));
}

uint16_t call_get_partition_id(struct hv_call *c)
{
	store_le64(c->output, c->caller->id);
	return HV_STATUS_SUCCESS;
}

uint16_t call_get_next_child_partition(struct hv_call *c)
{
	uint64_t parent = load_le64(c->input), previous = load_le64(c->input + 8),
		 next = UINT64_MAX;

	if (parent != HV_PARTITION_ID_SELF && parent != c->caller->id) {
		return HV_STATUS_INVALID_PARTITION_ID;
	}
	hv_host_lock(&c->hv->lock);
	for (struct hv_partition *p = c->hv->partitions; p != NULL; p = p->next) {
		if (p->id > previous && p->id < next) {
			next = p->id;
		}
	}
	hv_host_unlock(&c->hv->lock);
	store_le64(c->output, next == UINT64_MAX ? HV_PARTITION_ID_INVALID : next);
	return HV_STATUS_SUCCESS;
}

uint16_t call_install_intercept(struct hv_call *c)
{
	const struct hv_input_install_intercept *in = (const void *)c->input;
	struct hv_partition *p = child_of(c, in->partition_id);

	return p == NULL ? HV_STATUS_INVALID_PARTITION_ID : intercept_install(p, in);
}
