// SPDX-License-Identifier: Apache-2.0
/* The parts of the front that need no connection: metrics' text, the description of the API, the conversation with PAM. */
#include "lib/bits.h"
#include "metrics.h"
#include "openapi.h"
#include "pam_check.h"
#include "test/test.h"

/* ---- Metrics ---- */

#define HAS(t, text, what)                                                                         \
	do {                                                                                       \
		if (strstr(text, what) == NULL) {                                                  \
			test_fail(t, __FILE__, __LINE__, "no '%s' in:\n%s", what, text);           \
		}                                                                                  \
	} while (0)

static void test_metrics(struct test *t)
{
	static const struct metrics_vm vms[] = {
		{.id = "ID1",
		 .name = "a \"b\"\\\n",
		 .state = "running",
		 .stats = "ok\ncpu_ns=1500000000\nprocessor.0 cpu_ns=250000000 exits_port=7 "
			  "exits_interrupt-window=2 exits=19\n"
			  "processor.10 cpu_ns=5\nresident_bytes=8192\nmemory_bytes=1048576\n"
			  "adapter.0 rx_frames=1 rx_bytes=7\nadapter.3 tx_dropped=2\n"
			  "disk.scsi0:3 reads=4 read_bytes=16384 queue=1 latency_ns=1500000000\n"
			  "diskette.0 reads=9\ndisk.ide0:1\ndisk. reads=1\n"
			  "exits_port=12\nexits_halt=3\n"
			  "uptime_ns=18446744073709551615\nnonsense\n=5\n"},
		{.id = "ID2", .name = "c", .state = "off", .critical = true},
	};
	struct metrics_text m = {0};

	metrics_vms(&m, vms, ARRAY_LEN(vms));
	HAS(t, m.text,
	    "# TYPE hyperv_hypervisor_virtual_processor_guest_run_time_seconds_total counter\n");
	HAS(t, m.text,
	    "guest_run_time_seconds_total{vm=\"a \\\"b\\\"\\\\\\n\",vm_id=\"ID1\",processor=\"0\"} "
	    "0.25\n");
	HAS(t, m.text, "processor=\"10\"} 5");
	HAS(t, m.text, "virtual_processor_io_instructions_total{");
	HAS(t, m.text, "processor=\"0\"} 7\n");
	HAS(t, m.text, "virtual_processor_pending_interrupts_total{");
	HAS(t, m.text, "processor=\"0\"} 2\n");
	HAS(t, m.text, "virtual_processor_total_intercepts_total{");
	HAS(t, m.text, "processor=\"0\"} 19\n");
	HAS(t, m.text,
	    "hyperv_dynamic_memory_vm_physical_memory_bytes{vm=\"a "
	    "\\\"b\\\"\\\\\\n\",vm_id=\"ID1\"} 8192\n");
	HAS(t, m.text,
	    "hyperv_vm_vid_partition_physical_pages_allocated{vm=\"a "
	    "\\\"b\\\"\\\\\\n\",vm_id=\"ID1\"} 2\n");
	HAS(t, m.text,
	    "bytes_received_total{vm=\"a \\\"b\\\"\\\\\\n\",vm_id=\"ID1\",adapter=\"0\"} 7\n");
	HAS(t, m.text,
	    "dropped_packets_outgoing_total{vm=\"a \\\"b\\\"\\\\\\n\",vm_id=\"ID1\",adapter=\"3\"} "
	    "2\n");
	HAS(t, m.text, "vm_id=\"ID1\",device=\"scsi0:3\"} 16384\n");
	HAS(t, m.text, "hyperv_virtual_storage_device_read_count_total{");
	HAS(t, m.text, "device=\"scsi0:3\"} 4\n");
	HAS(t, m.text, "device=\"scsi0:3\"} 1.5\n");
	EXPECT(t, strstr(m.text, "} 9\n") == NULL && strstr(m.text, "ide0:1") == NULL);
	HAS(t, m.text, "virid_vm_cpu_seconds_total{vm=\"a \\\"b\\\"\\\\\\n\",vm_id=\"ID1\"} 1.5\n");
	HAS(t, m.text, "kind=\"port\"} 12\n");
	HAS(t, m.text, "kind=\"halt\"} 3\n");
	HAS(t, m.text, "hyperv_virtual_machine_health_summary_health_ok 1\n");
	HAS(t, m.text, "hyperv_virtual_machine_health_summary_health_critical 1\n");
	HAS(t, m.text, "virid_vm_state{vm=\"c\",vm_id=\"ID2\",state=\"off\"} 1\n");
	EXPECT(t, strstr(m.text, "{vm=\"c\",vm_id=\"ID2\",processor") == NULL);
	free(m.text);
}

static void test_no_vms(struct test *t)
{
	struct metrics_text m = {0};

	metrics_vms(&m, NULL, 0);
	HAS(t, m.text, "health_ok 0\n");
	free(m.text);
}

/* ---- OpenAPI ---- */

/* Every "$ref" names a schema that is there. */
static void check_references(struct test *t, const json_t *schemas, const json_t *j)
{
	const char *name;
	json_t *value;
	size_t i;

	json_array_foreach(j, i, value)
	{
		check_references(t, schemas, value);
	}
	json_object_foreach((json_t *)(uintptr_t)j, name, value)
	{
		const char *at = json_string_value(value);

		if (strcmp(name, "$ref") == 0 && at != NULL &&
		    json_object_get(schemas, strrchr(at, '/') + 1) == NULL) {
			test_fail(t, __FILE__, __LINE__, "%s is not in openapi_schemas.json", at);
		}
		check_references(t, schemas, value);
	}
}

static void test_openapi(struct test *t)
{
	json_t *d = openapi_document(vmms_routes), *ids = json_object();
	const json_t *paths = json_object_get(d, "paths");
	size_t routes = 0, found = 0;
	const char *path, *method;
	json_t *methods, *operation;

	for (size_t i = 0; vmms_routes[i] != NULL; i++) {
		routes += vmms_routes[i]->count;
	}
	json_object_foreach((json_t *)(uintptr_t)paths, path, methods)
	{
		json_object_foreach(methods, method, operation)
		{
			const char *id =
				json_string_value(json_object_get(operation, "operationId"));

			found++;
			EXPECT(t, id != NULL && json_object_get(ids, id) == NULL);
			json_object_set_new(ids, id, json_true());
			EXPECT(t, json_string_length(json_object_get(operation, "summary")) > 0);
		}
	}
	EXPECT_EQ(t, found, routes);
	EXPECT(t, routes > 20);
	check_references(t, json_object_get(json_object_get(d, "components"), "schemas"), d);
	json_decref(ids);
	json_decref(d);
}

/* What changes something is written down, and nothing that only looks is. */
static void test_audited(struct test *t)
{
	for (size_t i = 0; vmms_routes[i] != NULL; i++) {
		for (size_t k = 0; k < vmms_routes[i]->count; k++) {
			const struct route *r = &vmms_routes[i]->routes[k];
			bool console = strstr(r->path, "/console") != NULL;

			if (r->audited != (strcmp(r->method, "GET") != 0 || console)) {
				test_fail(t, __FILE__, __LINE__, "%s %s: audited is %d", r->method,
					  r->path, r->audited);
			}
		}
	}
}

/* ---- PAM ---- */

static void test_conversation(struct test *t)
{
	const struct pam_message messages[] = {{PAM_TEXT_INFO, "hello"},
					       {PAM_PROMPT_ECHO_ON, "user: "},
					       {PAM_PROMPT_ECHO_OFF, "password: "}};
	const struct pam_message *list[] = {&messages[0], &messages[1], &messages[2]};
	struct pam_question q = {.user = "alice", .password = "secret"};
	struct pam_response *r = NULL;

	EXPECT_EQ(t, pam_check_converse(3, list, &r, &q), PAM_SUCCESS);
	EXPECT(t, r[0].resp == NULL && strcmp(r[1].resp, "alice") == 0 &&
			  strcmp(r[2].resp, "secret") == 0);
	free(r[1].resp);
	free(r[2].resp);
	free(r);
}

/* What we have no answer to ends it, and what was answered before is not left behind. */
static void test_conversation_refused(struct test *t)
{
	const struct pam_message messages[] = {{PAM_PROMPT_ECHO_OFF, "password: "},
					       {99, "retina: "}};
	const struct pam_message *list[] = {&messages[0], &messages[1]};
	struct pam_question q = {.user = "alice", .password = "secret"};
	struct pam_response *r = NULL;

	EXPECT_EQ(t, pam_check_converse(2, list, &r, &q), PAM_CONV_ERR);
	EXPECT(t, r == NULL);
	EXPECT_EQ(t, pam_check_converse(0, list, &r, &q), PAM_CONV_ERR);
	EXPECT_EQ(t, pam_check_converse(PAM_MAX_NUM_MSG + 1, list, &r, &q), PAM_CONV_ERR);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_metrics), TEST(test_no_vms),	     TEST(test_openapi),
		TEST(test_audited), TEST(test_conversation), TEST(test_conversation_refused),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
