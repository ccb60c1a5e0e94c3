// SPDX-License-Identifier: Apache-2.0
/* What the service counts of itself. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"
#include "audit.h"
#include "call_stream.h"
#include "http.h"
#include "job.h"
#include "metrics.h"

static void gauge(struct metrics_text *t, const char *name, const char *type, const char *help,
		  double value)
{
	metrics_begin(t, name, type, help);
	metrics_add(t, name, value, NULL);
}

static double resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		if (fscanf(f, "%*u %lu", &pages) != 1) {
			pages = 0;
		}
		fclose(f);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void metrics_service(struct metrics_text *t, struct call *c)
{
	struct http_counters h = {0};
	struct rusage usage;
	json_t *jobs = jobs_json(c->vmms, NULL), *job;
	size_t i, running = 0;

	if (api_http(call_api(c)) != NULL) {
		http_get_counters(api_http(call_api(c)), &h);
	}
	json_array_foreach(json_object_get(jobs, "jobs"), i, job)
	{
		const char *state = json_string_value(json_object_get(job, "state"));

		running += state != NULL && strcmp(state, "running") == 0;
	}
	gauge(t, "virid_vmms_jobs_running", "gauge", "Jobs that have not ended", (double)running);
	json_decref(jobs);
	gauge(t, "virid_vmms_requests_total", "counter", "Requests that began", (double)h.requests);
	gauge(t, "virid_vmms_connections_total", "counter", "Connections that were accepted",
	      (double)h.connections);
	gauge(t, "virid_vmms_connections_open", "gauge", "Connections now",
	      (double)h.open_connections);
	gauge(t, "virid_vmms_connections_refused_total", "counter", "Connections beyond a limit",
	      (double)h.refused_connections);
	gauge(t, "virid_vmms_requests_timed_out_total", "counter",
	      "Requests that did not come whole in time", (double)h.timed_out_requests);
	gauge(t, "virid_vmms_audit_lines_lost_total", "counter",
	      "Lines of the audit log that could not be written",
	      (double)audit_lost(api_audit(call_api(c))));
	gauge(t, "process_resident_memory_bytes", "gauge", "Memory of the service",
	      resident_bytes());
	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		gauge(t, "process_cpu_seconds_total", "counter", "Processor time of the service",
		      (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
	}
}
