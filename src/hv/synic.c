// SPDX-License-Identifier: Apache-2.0
/*
 * Synthetic interrupt controller: message slots with their queues, event flags. Spec: TLFS 11.
 *
 * The guest empties a slot by writing its type without any lock; the order of the writes here and there is what makes it safe:
 * we fill a slot with the type last, and after setting the pending flag of a full slot we look at the type once more.
 */
#include "core.h"

/* Until slot_end. */
static struct hv_message *slot_begin(struct hv_vp *vp, unsigned sint)
{
	return (struct hv_message *)overlay_begin(&vp->synic.sim) + sint;
}

static void slot_end(struct hv_vp *vp)
{
	overlay_end(&vp->synic.sim);
}

static bool slot_is_free(struct hv_vp *vp, unsigned sint)
{
	const struct hv_message *slot = slot_begin(vp, sint);
	bool free = __atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HvMessageTypeNone;

	slot_end(vp);
	return free;
}

static void slot_fill(struct hv_vp *vp, unsigned sint, const struct hv_message *m, bool more)
{
	struct hv_message *slot = slot_begin(vp, sint);

	slot->payload_size = m->payload_size;
	slot->reserved = 0;
	slot->origin = m->origin;
	__builtin_memcpy(slot->payload, m->payload, sizeof(slot->payload));
	__atomic_store_n(&slot->flags, more ? HV_MESSAGE_FLAG_PENDING : 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->type, m->type, __ATOMIC_SEQ_CST);
	slot_end(vp);
	overlay_touch(vp->partition, &vp->synic.sim, sint * HV_MESSAGE_SIZE, HV_MESSAGE_SIZE);
}

static void set_pending_flag(struct hv_vp *vp, unsigned sint)
{
	__atomic_fetch_or(&slot_begin(vp, sint)->flags, HV_MESSAGE_FLAG_PENDING, __ATOMIC_SEQ_CST);
	slot_end(vp);
	overlay_touch(vp->partition, &vp->synic.sim, sint * HV_MESSAGE_SIZE, 8);
}

static bool messages_enabled(const struct hv_vp *vp)
{
	return (vp->synic.scontrol & HV_SCONTROL_ENABLE) &&
	       (vp->synic.sim.msr & HV_MSR_PAGE_ENABLE);
}

static void raise(struct hv_vp *vp, unsigned sint)
{
	uint64_t config = vp->synic.sint[sint];

	if (!(config & (HV_SINT_MASKED | HV_SINT_POLLING))) {
		lapic_request(vp, (uint8_t)(config & HV_SINT_VECTOR));
	}
}

static bool has_queued(const struct hv_vp *vp, unsigned sint)
{
	return vp->synic.queue_head[sint] != NULL || stimer_has_message(vp, sint);
}

static struct hv_message_buffer *dequeue(struct hv_vp *vp, unsigned sint)
{
	struct hv_message_buffer *b = vp->synic.queue_head[sint];

	if (b != NULL) {
		__atomic_store_n(&vp->synic.queue_head[sint], b->next, __ATOMIC_RELAXED);
		if (b->next == NULL) {
			vp->synic.queue_tail[sint] = NULL;
		}
	}
	return b;
}

static void deliver_one(struct hv_vp *vp, unsigned sint)
{
	struct hv_message_buffer *b;
	struct hv_message timer;

	if (stimer_take_message(vp, sint, &timer)) {
		slot_fill(vp, sint, &timer, has_queued(vp, sint));
	} else {
		b = dequeue(vp, sint);
		slot_fill(vp, sint, &b->message, has_queued(vp, sint));
		port_buffer_release(b);
	}
	raise(vp, sint);
}

/* With the lock held: moves messages into the slot as long as it is free. */
static void scan_sint(struct hv_vp *vp, unsigned sint)
{
	while (messages_enabled(vp) && has_queued(vp, sint)) {
		if (slot_is_free(vp, sint)) {
			deliver_one(vp, sint);
			continue;
		}
		set_pending_flag(vp, sint);
		/* The guest may have emptied the slot before it could see the flag. */
		if (!slot_is_free(vp, sint)) {
			return;
		}
	}
}

void synic_scan(struct hv_vp *vp)
{
	hv_host_lock(&vp->synic.lock);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		scan_sint(vp, i);
	}
	hv_host_unlock(&vp->synic.lock);
}

void synic_eoi(struct hv_vp *vp, uint8_t vector)
{
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		if ((vp->synic.sint[i] & HV_SINT_VECTOR) == vector &&
		    !(vp->synic.sint[i] & HV_SINT_MASKED)) {
			hv_host_lock(&vp->synic.lock);
			scan_sint(vp, i);
			hv_host_unlock(&vp->synic.lock);
		}
	}
}

uint16_t synic_message_state(struct hv_vp *vp, unsigned sint)
{
	uint16_t status;

	(void)sint;
	hv_host_lock(&vp->synic.lock);
	status = messages_enabled(vp) ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_SYNIC_STATE;
	hv_host_unlock(&vp->synic.lock);
	return status;
}

void synic_enqueue(struct hv_vp *vp, unsigned sint, struct hv_message_buffer *buffer)
{
	struct synic *s = &vp->synic;

	hv_host_lock(&s->lock);
	buffer->next = NULL;
	if (s->queue_tail[sint] != NULL) {
		s->queue_tail[sint]->next = buffer;
	} else {
		__atomic_store_n(&s->queue_head[sint], buffer, __ATOMIC_RELAXED);
	}
	s->queue_tail[sint] = buffer;
	scan_sint(vp, sint);
	hv_host_unlock(&s->lock);
}

uint16_t synic_post_direct(struct hv_vp *vp, unsigned sint, const struct hv_message *message)
{
	uint16_t status = HV_STATUS_SUCCESS;

	hv_host_lock(&vp->synic.lock);
	if (!messages_enabled(vp)) {
		status = HV_STATUS_INVALID_SYNIC_STATE;
	} else if (has_queued(vp, sint) || !slot_is_free(vp, sint)) {
		status = HV_STATUS_OBJECT_IN_USE;
	} else {
		slot_fill(vp, sint, message, false);
		raise(vp, sint);
	}
	hv_host_unlock(&vp->synic.lock);
	return status;
}

uint16_t synic_signal(struct hv_vp *vp, unsigned sint, unsigned flag, bool *ret_newly)
{
	struct synic *s = &vp->synic;
	unsigned word = sint * (HV_EVENT_FLAGS_COUNT / 32) + flag / 32;
	uint16_t status = HV_STATUS_SUCCESS;

	hv_host_lock(&s->lock);
	if (!(s->scontrol & HV_SCONTROL_ENABLE) || !(s->sief.msr & HV_MSR_PAGE_ENABLE) ||
	    (s->sint[sint] & HV_SINT_MASKED)) {
		status = HV_STATUS_INVALID_SYNIC_STATE;
	} else {
		uint32_t bit = BIT32(flag % 32);

		uint32_t *words = overlay_begin(&s->sief);

		*ret_newly = !(__atomic_fetch_or(&words[word], bit, __ATOMIC_SEQ_CST) & bit);
		overlay_end(&s->sief);
		overlay_touch(vp->partition, &s->sief, word * 4, 4);
		if (*ret_newly) {
			raise(vp, sint);
		}
	}
	hv_host_unlock(&s->lock);
	return status;
}

void synic_purge(struct hv_vp *vp, struct hv_port *port)
{
	struct synic *s = &vp->synic;

	hv_host_lock(&s->lock);
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		struct hv_message_buffer *b = s->queue_head[i], *next;

		s->queue_head[i] = NULL;
		s->queue_tail[i] = NULL;
		for (; b != NULL; b = next) {
			next = b->next;
			if (port == NULL || b->port == port) {
				port_buffer_release(b);
				continue;
			}
			b->next = NULL;
			if (s->queue_tail[i] != NULL) {
				s->queue_tail[i]->next = b;
			} else {
				s->queue_head[i] = b;
			}
			s->queue_tail[i] = b;
		}
	}
	hv_host_unlock(&s->lock);
}

static void recompute_auto_eoi(struct hv_vp *vp)
{
	uint32_t *map = vp->lapic.auto_eoi;

	__builtin_memset(map, 0, sizeof(vp->lapic.auto_eoi));
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		uint64_t config = vp->synic.sint[i];

		if ((config & HV_SINT_AUTO_EOI) && !(config & HV_SINT_MASKED)) {
			map[(config & HV_SINT_VECTOR) / 32] |= BIT32(config & 31);
		}
	}
}

bool synic_sint_write(struct hv_vp *vp, unsigned sint, uint64_t value)
{
	if (!(value & HV_SINT_MASKED) && (value & HV_SINT_VECTOR) < 16) {
		return false;
	}
	uint64_t old = vp->synic.sint[sint];

	hv_host_lock(&vp->synic.lock);
	vp->synic.sint[sint] = value;
	recompute_auto_eoi(vp);
	apic_tell_sint(vp, sint, old);
	scan_sint(vp, sint);
	hv_host_unlock(&vp->synic.lock);
	return true;
}

bool synic_page_write(struct hv_vp *vp, struct hv_overlay *page, uint64_t value)
{
	bool ok;

	/* Whoever posts or signals looks at where the page is. */
	hv_host_lock(&vp->synic.lock);
	ok = overlay_set(vp->partition, page, value);
	hv_host_unlock(&vp->synic.lock);
	synic_scan(vp);
	return ok;
}

void synic_scontrol_write(struct hv_vp *vp, uint64_t value)
{
	hv_host_lock(&vp->synic.lock);
	vp->synic.scontrol = value;
	hv_host_unlock(&vp->synic.lock);
	synic_scan(vp);
}

void synic_reset(struct hv_vp *vp)
{
	struct synic *s = &vp->synic;

	synic_purge(vp, NULL);
	synic_page_write(vp, &s->sim, 0);
	synic_page_write(vp, &s->sief, 0);
	s->scontrol = 0;
	for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++) {
		s->sint[i] = HV_SINT_MASKED;
	}
	for (unsigned i = 0; i < HV_SYNIC_STIMER_COUNT; i++) {
		s->timer[i] = (struct hv_stimer){0};
	}
	recompute_auto_eoi(vp);
	__builtin_memset(s->sim.own, 0, HV_PAGE_SIZE); /* both are nowhere to be seen */
	__builtin_memset(s->sief.own, 0, HV_PAGE_SIZE);
}
