// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "metrics.h"

#define NS 1e-9
#define NUMBER_MAX 64u

/* ---- Text ---- */

static void put(struct metrics_text *t, const char *s, size_t n)
{
	if (t->bytes + n + 1 > t->capacity) {
		t->capacity = (t->bytes + n + 1) * 2;
		t->text = realloc(t->text, t->capacity);
		CHECK(t->text != NULL);
	}
	memcpy(t->text + t->bytes, s, n);
	t->bytes += n;
	t->text[t->bytes] = '\0';
}

static void puts_text(struct metrics_text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_escaped(struct metrics_text *t, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n') {
			puts_text(t, "\\n");
		} else if (*s == '"' || *s == '\\') {
			put(t, (const char[]){'\\', *s}, 2);
		} else {
			put(t, s, 1);
		}
	}
}

void metrics_begin(struct metrics_text *t, const char *name, const char *type, const char *help)
{
	char line[512];

	snprintf(line, sizeof(line), "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
	puts_text(t, line);
}

void metrics_add(struct metrics_text *t, const char *name, double value, ...)
{
	char number[40];
	const char *label, *before = "{";
	va_list ap;

	puts_text(t, name);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *)) != NULL) {
		puts_text(t, before);
		puts_text(t, label);
		puts_text(t, "=\"");
		put_escaped(t, va_arg(ap, const char *));
		puts_text(t, "\"");
		before = ",";
	}
	va_end(ap);
	snprintf(number, sizeof(number), "%s %.17g\n", *before == ',' ? "}" : "", value);
	puts_text(t, number);
}

/* ---- What a worker says ---- */

/* The value behind "key=" at a line's beginning. */
static bool find_number(const char *stats, const char *key, double *ret)
{
	size_t n = strlen(key);

	for (const char *at = stats; at != NULL && *at != '\0';) {
		if (strncmp(at, key, n) == 0 && at[n] == '=') {
			*ret = strtod(at + n + 1, NULL);
			return true;
		}
		at = strchr(at, '\n');
		at = at == NULL ? NULL : at + 1;
	}
	return false;
}

struct counter {
	const char *name, *type, *help;
	const char *key; /* with %u: one of several */
	double scale;
	const char *label; /* of the number */
};

#define VP "hyperv_hypervisor_virtual_processor_"
#define NIC "hyperv_virtual_network_adapter_"
#define DISK "hyperv_virtual_storage_device_"
#define DM "hyperv_dynamic_memory_vm_"

static const struct counter counters[] = {
	{VP "guest_run_time_seconds_total", "counter",
	 "Time that the virtual processor's thread ran on the host", "vp%u_cpu_ns", NS,
	 "processor"},
	{NIC "bytes_received_total", "counter", "Bytes that the adapter received", "net%u_rx_bytes",
	 1, "adapter"},
	{NIC "bytes_sent_total", "counter", "Bytes that the adapter sent", "net%u_tx_bytes", 1,
	 "adapter"},
	{NIC "packets_received_total", "counter", "Packets that the adapter received",
	 "net%u_rx_frames", 1, "adapter"},
	{NIC "packets_sent_total", "counter", "Packets that the adapter sent", "net%u_tx_frames", 1,
	 "adapter"},
	{NIC "dropped_packets_incoming_total", "counter",
	 "Packets to the adapter that were dropped", "net%u_rx_dropped", 1, "adapter"},
	{NIC "dropped_packets_outgoing_total", "counter",
	 "Packets from the adapter that were dropped", "net%u_tx_dropped", 1, "adapter"},
	{DISK "read_bytes_total", "counter", "Bytes read", "disk%u_read_bytes", 1, "device"},
	{DISK "write_bytes_total", "counter", "Bytes written", "disk%u_write_bytes", 1, "device"},
	{DISK "read_count_total", "counter", "Reads", "disk%u_reads", 1, "device"},
	{DISK "write_count_total", "counter", "Writes", "disk%u_writes", 1, "device"},
	{DISK "error_count_total", "counter", "Requests that failed", "disk%u_errors", 1, "device"},
	{DISK "queue_length", "gauge", "Requests in flight", "disk%u_queue", 1, "device"},
	{DM "physical_memory_bytes", "gauge", "Memory of the host that the VM has now",
	 "resident_bytes", 1, NULL},
	{DM "guest_visible_physical_memory_bytes", "gauge", "Memory that the guest sees",
	 "memory_bytes", 1, NULL},
	{"hyperv_vm_vid_partition_physical_pages_allocated", "gauge",
	 "Pages of the host that the VM has now", "resident_bytes", 1.0 / 4096, NULL},
	{"virid_vm_uptime_seconds", "gauge", "Time the guest has run", "uptime_ns", NS, NULL},
	{"virid_vm_cpu_seconds_total", "counter", "Processor time of the whole worker", "cpu_ns",
	 NS, NULL},
	{"virid_vm_instructions_total", "counter", "Guest instructions", "instructions", 1, NULL},
	{"virid_vm_hypercalls_total", "counter", "Hypercalls", "hypercalls", 1, NULL},
};

static void add_one(struct metrics_text *t, const struct counter *c, const struct metrics_vm *vm)
{
	double value;

	if (find_number(vm->stats, c->key, &value)) {
		metrics_add(t, c->name, value * c->scale, "vm", vm->name, "vm_id", vm->id, NULL);
	}
}

/* Numbers need not be without gaps: adapters come and go. */
static void add_several(struct metrics_text *t, const struct counter *c,
			const struct metrics_vm *vm)
{
	const char *end = strchr(c->key, '%');
	char key[64], number[16];
	double value;

	for (unsigned i = 0; i < NUMBER_MAX; i++) {
		snprintf(key, sizeof(key), "%.*s%u%s", (int)(end - c->key), c->key, i, end + 2);
		if (find_number(vm->stats, key, &value)) {
			snprintf(number, sizeof(number), "%u", i);
			metrics_add(t, c->name, value * c->scale, "vm", vm->name, "vm_id", vm->id,
				    c->label, number, NULL);
		}
	}
}

static void add_counter(struct metrics_text *t, const struct counter *c,
			const struct metrics_vm *vms, size_t count)
{
	metrics_begin(t, c->name, c->type, c->help);
	for (size_t i = 0; i < count; i++) {
		if (vms[i].stats != NULL && c->label == NULL) {
			add_one(t, c, &vms[i]);
		} else if (vms[i].stats != NULL) {
			add_several(t, c, &vms[i]);
		}
	}
}

/* "exits_NAME=N", whatever names there are. */
static void add_exits(struct metrics_text *t, const struct metrics_vm *vm)
{
	for (const char *at = vm->stats; at != NULL && *at != '\0';) {
		const char *end = strchrnul(at, '\n'), *is = memchr(at, '=', (size_t)(end - at));
		char kind[40];

		if (strncmp(at, "exits_", 6) == 0 && is != NULL) {
			snprintf(kind, sizeof(kind), "%.*s", (int)(is - at - 6), at + 6);
			metrics_add(t, "virid_vm_intercepts_total", strtod(is + 1, NULL), "vm",
				    vm->name, "vm_id", vm->id, "kind", kind, NULL);
		}
		at = *end == '\0' ? NULL : end + 1;
	}
}

/* ---- Health and states ---- */

static void add_health(struct metrics_text *t, const struct metrics_vm *vms, size_t count)
{
	size_t critical = 0;

	for (size_t i = 0; i < count; i++) {
		critical += vms[i].critical;
	}
	metrics_begin(t, "hyperv_virtual_machine_health_summary_health_ok", "gauge",
		      "VMs without trouble");
	metrics_add(t, "hyperv_virtual_machine_health_summary_health_ok",
		    (double)(count - critical), NULL);
	metrics_begin(t, "hyperv_virtual_machine_health_summary_health_critical", "gauge",
		      "VMs in a critical state");
	metrics_add(t, "hyperv_virtual_machine_health_summary_health_critical", (double)critical,
		    NULL);
}

static void add_states(struct metrics_text *t, const struct metrics_vm *vms, size_t count)
{
	metrics_begin(t, "virid_vm_state", "gauge", "1: the VM is in this state");
	for (size_t i = 0; i < count; i++) {
		metrics_add(t, "virid_vm_state", 1, "vm", vms[i].name, "vm_id", vms[i].id, "state",
			    vms[i].state, NULL);
	}
}

void metrics_vms(struct metrics_text *t, const struct metrics_vm *vms, size_t count)
{
	add_health(t, vms, count);
	add_states(t, vms, count);
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		add_counter(t, &counters[i], vms, count);
	}
	metrics_begin(t, "virid_vm_intercepts_total", "counter",
		      "Times that the hypervisor took over from the guest");
	for (size_t i = 0; i < count; i++) {
		add_exits(t, &vms[i]);
	}
}
