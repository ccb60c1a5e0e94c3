// SPDX-License-Identifier: Apache-2.0
/* What a worker, which a guest may have taken over, answers and tells: lines of statistics, key-value pairs, events. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "link.h"
#include "metrics.h"
#include "vm.h"
#include "vm_event.h"
#include "vm_guest.h"
#include "vmms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Each line of text is a metric or tells of one, whatever the worker's names are. */
static void check_metrics(const char *stats)
{
	const struct metrics_vm vm = {
		.id = "ID", .name = "name", .state = "running", .stats = stats};
	struct metrics_text t = {0};

	metrics_vms(&t, &vm, 1);
	for (const char *at = t.text; *at != '\0';) {
		const char *end = strchrnul(at, '\n');

		if (*end == '\0' || (strncmp(at, "# ", 2) != 0 && strncmp(at, "virid_", 6) != 0 &&
				     strncmp(at, "hyperv_", 7) != 0)) {
			abort();
		}
		at = end + 1;
	}
	free(t.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct vmms v = {
		.state = "/nonexistent", .runtime = "/nonexistent", .events = events_create()};
	struct vm vm = {.vmms = &v,
			.id = "BA6163D9-04A1-4D29-B605-72E2FFB1DC7F",
			.heartbeat = "none",
			.unusable = true};
	char *text = malloc(bytes + 1), value[64];

	memcpy(text, data, bytes);
	text[bytes] = '\0';
	check_metrics(text);
	vm_stats_take(&vm, text);
	vm_guest_take(&vm, text);
	vm_guest_set_heartbeat(&vm, text);
	(void)link_value(text, "state", value, sizeof(value));
	(void)link_number(text, "done");
	char *rest = strchrnul(text, '\n');

	if (*rest != '\0') {
		*rest++ = '\0';
	}
	/* The records that follow a change of state would be written: not for a VM that cannot be used. */
	vm_event(&vm, text, rest);
	vm_guest_forget(&vm);
	json_decref(vm.worker.stats);
	events_destroy(v.events);
	free(text);
	return 0;
}
