// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts for local APICs in KVM. Messages go in with KVM_SIGNAL_MSI, one system call that stops no VP. KVM tells of an EOI only for vectors of its
 * routing table's first entries: a level-triggered message gets one before it is sent.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "vm.h"

#define MSI_ADDRESS 0xFEE00000u
#define MSI_DESTINATION_SHIFT 12
#define MSI_LOGICAL 0x4u
#define MSI_TYPE_SHIFT 8
#define MSI_ASSERT 0x4000u
#define MSI_LEVEL 0x8000u

static struct kvm_msi msi_of(const struct hv_engine_message *m)
{
	return (struct kvm_msi){.address_lo = MSI_ADDRESS |
					      (m->destination & 0xFF) << MSI_DESTINATION_SHIFT |
					      (m->logical ? MSI_LOGICAL : 0),
				.address_hi = m->destination & ~UINT32_C(0xFF),
				.data = m->vector | m->type << MSI_TYPE_SHIFT | MSI_ASSERT |
					(m->level ? MSI_LEVEL : 0)};
}

/* Nobody there to take it is no error. */
static void signal_msi(struct kvm_vm *vm, const struct hv_engine_message *m)
{
	struct kvm_msi msi = msi_of(m);

	ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static bool same_route(const struct hv_engine_message *a, const struct hv_engine_message *b)
{
	return a->vector == b->vector && a->destination == b->destination &&
	       a->logical == b->logical;
}

static int set_routes(struct kvm_vm *vm)
{
	union {
		struct kvm_irq_routing all;
		uint8_t room[sizeof(struct kvm_irq_routing) +
			     KVM_LEVEL_ROUTES * sizeof(struct kvm_irq_routing_entry)];
	} table = {.room = {0}};

	table.all.nr = vm->apic.level_count;
	for (unsigned i = 0; i < vm->apic.level_count; i++) {
		struct kvm_msi msi = msi_of(&vm->apic.level[i]);

		table.all.entries[i] =
			(struct kvm_irq_routing_entry){.gsi = i,
						       .type = KVM_IRQ_ROUTING_MSI,
						       .u.msi = {.address_lo = msi.address_lo,
								 .address_hi = msi.address_hi,
								 .data = msi.data}};
	}
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table) < 0 ? -errno : 0;
}

/* The oldest goes when there is no room: it is long ended. */
static void watch_eoi(struct kvm_vm *vm, const struct hv_engine_message *m)
{
	struct kvm_apic *a = &vm->apic;

	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < a->level_count; i++) {
		if (same_route(&a->level[i], m)) {
			pthread_mutex_unlock(&a->lock);
			return;
		}
	}
	a->level[a->level_next] = *m;
	a->level_next = (a->level_next + 1) % KVM_LEVEL_ROUTES;
	if (a->level_count < KVM_LEVEL_ROUTES) {
		a->level_count++;
	}
	if (set_routes(vm) != 0) {
		atomic_store(&vm->failed, "KVM refuses the routes of interrupts");
	}
	pthread_mutex_unlock(&a->lock);
}

void kvm_irq_message(struct hv_engine_vm *handle, const struct hv_engine_message *m)
{
	struct kvm_vm *vm = kvm_vm_of(handle);

	if (m->level) {
		watch_eoi(vm, m);
	}
	signal_msi(vm, m);
}

void kvm_irq_request(struct hv_engine_vp *handle, uint8_t vector)
{
	struct kvm_vp *vp = kvm_vp_of(handle);
	const struct hv_engine_message m = {.destination = vp->index, .vector = vector};

	signal_msi(vp->vm, &m);
}
