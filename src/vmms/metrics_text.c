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
#define INSTANCE_BYTES 64u

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

/* The number behind "@key=" in the words of a line that ends at @end. */
static bool find_word(const char *at, const char *end, const char *key, double *ret)
{
	size_t n = strlen(key);

	while (at < end) {
		if ((size_t)(end - at) > n && memcmp(at, key, n) == 0 && at[n] == '=') {
			*ret = strtod(at + n + 1, NULL);
			return true;
		}
		at = memchr(at, ' ', (size_t)(end - at));
		at = at == NULL ? end : at + 1;
	}
	return false;
}

struct counter {
	const char *name, *type, *help;
	const char *kind; /* "disk": of the lines "disk.INSTANCE ..."; NULL: a line of its own */
	const char *key;
	double scale;
	const char *label; /* of the instance */
};

#define VP "hyperv_hypervisor_virtual_processor_"
#define NIC "hyperv_virtual_network_adapter_"
#define DISK "hyperv_virtual_storage_device_"
#define DM "hyperv_dynamic_memory_vm_"
#define OF_VP(name, help, key)                                                                     \
	{                                                                                          \
		VP name, "counter", help, "processor", key, 1, "processor"                         \
	}
#define OF_ADAPTER(name, help, key)                                                                \
	{                                                                                          \
		NIC name, "counter", help, "adapter", key, 1, "adapter"                            \
	}
#define OF_DISK(name, help, key)                                                                   \
	{                                                                                          \
		DISK name, "counter", help, "disk", key, 1, "device"                               \
	}

static const struct counter counters[] = {
	{VP "guest_run_time_seconds_total", "counter",
	 "Time that the virtual processor's thread ran on the host", "processor", "cpu_ns", NS,
	 "processor"},
	OF_VP("total_intercepts_total", "Times that the processor came back from the guest",
	      "exits"),
	OF_VP("io_instructions_total", "IN and OUT, an element each", "exits_port"),
	OF_VP("memory_intercept_messages_total", "Accesses where there is no memory",
	      "exits_memory"),
	OF_VP("msr_accesses_total", "RDMSR and WRMSR", "exits_msr"),
	OF_VP("control_register_accesses_total", "MOV to and from CR8", "exits_cr8"),
	OF_VP("cpuid_instructions_total", "CPUID", "exits_cpuid"),
	OF_VP("hlt_instructions_total", "HLT", "exits_halt"),
	OF_VP("hypercalls_total", "Hypercalls", "exits_hypercall"),
	OF_VP("pending_interrupts_total", "Interrupts that waited until the guest took them",
	      "exits_interrupt-window"),
	OF_VP("apic_eoi_accesses_total", "Ends of interrupts that devices wait for", "exits_eoi"),
	{"virid_vm_processor_interrupted_total", "counter",
	 "Times that the processor was fetched out of the guest", "processor", "exits_interrupted",
	 1, "processor"},
	{"virid_vm_processor_engine_exits_total", "counter",
	 "Times that the engine answered the guest by itself", "processor", "exits_engine", 1,
	 "processor"},
	OF_ADAPTER("bytes_received_total", "Bytes that the adapter received", "rx_bytes"),
	OF_ADAPTER("bytes_sent_total", "Bytes that the adapter sent", "tx_bytes"),
	OF_ADAPTER("packets_received_total", "Packets that the adapter received", "rx_frames"),
	OF_ADAPTER("packets_sent_total", "Packets that the adapter sent", "tx_frames"),
	OF_ADAPTER("dropped_packets_incoming_total", "Packets to the adapter that were dropped",
		   "rx_dropped"),
	OF_ADAPTER("dropped_packets_outgoing_total", "Packets from the adapter that were dropped",
		   "tx_dropped"),
	OF_DISK("read_bytes_total", "Bytes that the guest read", "read_bytes"),
	OF_DISK("write_bytes_total", "Bytes that the guest wrote", "write_bytes"),
	OF_DISK("read_count_total", "Reads", "reads"),
	OF_DISK("write_count_total", "Writes", "writes"),
	OF_DISK("flush_count_total", "Flushes", "flushes"),
	OF_DISK("unmap_count_total", "Ranges that were given back or zeroed", "unmaps"),
	OF_DISK("error_count_total", "Requests that failed", "errors"),
	OF_DISK("normalized_throughput_total", "Reads and writes in parts of 8 KiB", "normalized"),
	{DISK "latency_seconds_total", "counter", "Time that all answered requests took together",
	 "disk", "latency_ns", NS, "device"},
	{DISK "queue_length", "gauge", "Requests that are not answered yet", "disk", "queue", 1,
	 "device"},
	{DM "physical_memory_bytes", "gauge", "Memory of the host that the VM has now", NULL,
	 "resident_bytes", 1, NULL},
	{DM "guest_visible_physical_memory_bytes", "gauge", "Memory that the guest sees", NULL,
	 "memory_bytes", 1, NULL},
	{"hyperv_vm_vid_partition_physical_pages_allocated", "gauge",
	 "Pages of the host that the VM has now", NULL, "resident_bytes", 1.0 / 4096, NULL},
	{"virid_vm_uptime_seconds", "gauge", "Time the guest has run", NULL, "uptime_ns", NS, NULL},
	{"virid_vm_cpu_seconds_total", "counter", "Processor time of the whole worker", NULL,
	 "cpu_ns", NS, NULL},
	{"virid_vm_instructions_total", "counter", "Guest instructions", NULL, "instructions", 1,
	 NULL},
	{"virid_vm_hypercalls_total", "counter", "Hypercalls", NULL, "hypercalls", 1, NULL},
};

static void add_value(struct metrics_text *t, const struct counter *c, const struct metrics_vm *vm,
		      const char *line, const char *end)
{
	double value;

	if (find_word(line, end, c->key, &value)) {
		metrics_add(t, c->name, value * c->scale, "vm", vm->name, "vm_id", vm->id, NULL);
	}
}

/* Of "KIND.INSTANCE NAME=VALUE ..." */
static void add_instance(struct metrics_text *t, const struct counter *c,
			 const struct metrics_vm *vm, const char *line, const char *end)
{
	size_t n = strlen(c->kind);
	const char *words = memchr(line, ' ', (size_t)(end - line));
	char instance[INSTANCE_BYTES];
	double value;

	if (words == NULL || (size_t)(words - line) <= n + 1 || memcmp(line, c->kind, n) != 0 ||
	    line[n] != '.' || !find_word(words + 1, end, c->key, &value)) {
		return;
	}
	line += n + 1;
	snprintf(instance, sizeof(instance), "%.*s", (int)(words - line), line);
	metrics_add(t, c->name, value * c->scale, "vm", vm->name, "vm_id", vm->id, c->label,
		    instance, NULL);
}

static void add_of_vm(struct metrics_text *t, const struct counter *c, const struct metrics_vm *vm)
{
	for (const char *line = vm->stats; *line != '\0';) {
		const char *end = strchrnul(line, '\n');

		if (c->kind != NULL) {
			add_instance(t, c, vm, line, end);
		} else if (memchr(line, ' ', (size_t)(end - line)) == NULL) {
			add_value(t, c, vm, line, end);
		}
		line = *end == '\0' ? end : end + 1;
	}
}

static void add_counter(struct metrics_text *t, const struct counter *c,
			const struct metrics_vm *vms, size_t count)
{
	metrics_begin(t, c->name, c->type, c->help);
	for (size_t i = 0; i < count; i++) {
		if (vms[i].stats != NULL) {
			add_of_vm(t, c, &vms[i]);
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

/* What the kernel counts for its group: the limit of its processors at work. */
static void add_groups(struct metrics_text *t, const struct metrics_vm *vms, size_t count)
{
	static const struct {
		const char *name, *help;
		size_t offset;
		double scale;
	} counted[] = {
		{"virid_vm_cpu_group_seconds_total", "Processor time of all of its processes",
		 offsetof(struct hostcpu_usage, usage_us), 1e-6},
		{"virid_vm_cpu_throttled_seconds_total", "Time that its limit kept it from running",
		 offsetof(struct hostcpu_usage, throttled_us), 1e-6},
		{"virid_vm_cpu_periods_total", "Periods in which its limit was looked at",
		 offsetof(struct hostcpu_usage, periods), 1},
		{"virid_vm_cpu_throttled_periods_total", "Periods in which it reached its limit",
		 offsetof(struct hostcpu_usage, throttled_periods), 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
		metrics_begin(t, counted[i].name, "counter", counted[i].help);
		for (size_t k = 0; k < count; k++) {
			uint64_t value;

			memcpy(&value, (const char *)&vms[k].usage + counted[i].offset,
			       sizeof(value));
			if (vms[k].grouped) {
				metrics_add(t, counted[i].name, (double)value * counted[i].scale,
					    "vm", vms[k].name, "vm_id", vms[k].id, NULL);
			}
		}
	}
}

void metrics_vms(struct metrics_text *t, const struct metrics_vm *vms, size_t count)
{
	add_health(t, vms, count);
	add_states(t, vms, count);
	add_groups(t, vms, count);
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		add_counter(t, &counters[i], vms, count);
	}
	metrics_begin(t, "virid_vm_intercepts_total", "counter",
		      "Times that the hypervisor took over from the guest");
	for (size_t i = 0; i < count; i++) {
		add_exits(t, &vms[i]);
	}
}
