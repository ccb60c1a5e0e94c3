// SPDX-License-Identifier: Apache-2.0
/* What the hypervisor passes up: accesses to the motherboard, and guests that came to an end. */
#include <inttypes.h>
#include <string.h>

#include "abi/hv.h"
#include "host/log.h"
#include "lib/bits.h"
#include "worker.h"
#include "x86/arch.h"

#define ACCESS_WRITE 1
#define ACCESS_EXECUTE 2
#define EXCEPTION_VECTORS 32

/* True when @what is a word of the --trace list. */
static bool traced(const struct worker *w, const char *what)
{
	const char *list = w->config.trace;
	size_t length = strlen(what);

	while (list != NULL) {
		if (strncmp(list, what, length) == 0 &&
		    (list[length] == ',' || list[length] == '\0')) {
			return true;
		}
		list = strchr(list, ',');
		list = list != NULL ? list + 1 : NULL;
	}
	return false;
}

int intercept_trace(struct worker *w)
{
	struct vid_partition *p = w->machine.partition;
	int r = 0;

	if (traced(w, "msr")) {
		r = vid_intercept(p, HvInterceptTypeX64Msr,
				  HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
				  0);
	}
	if (r == 0 && traced(w, "cpuid")) {
		r = vid_intercept(p, HvInterceptTypeX64GlobalCpuid,
				  HV_INTERCEPT_ACCESS_MASK_EXECUTE, 0);
	}
	for (uint64_t vector = 0; vector < EXCEPTION_VECTORS && r == 0; vector++) {
		if (traced(w, "exception")) {
			r = vid_intercept(p, HvInterceptTypeException,
					  HV_INTERCEPT_ACCESS_MASK_EXECUTE, vector);
		}
	}
	return r;
}

static void finish(struct vp_thread *t, uint64_t value)
{
	const uint64_t values[4] = {value};

	vid_finish(t->vp, values);
}

static void port_access(struct vp_thread *t, const struct hv_x64_io_port_intercept_message *m)
{
	struct worker *w = t->worker;
	unsigned bytes = m->access_info & HV_IO_PORT_ACCESS_SIZE;
	bool write = m->header.intercept_access_type == ACCESS_WRITE;
	uint32_t data = (uint32_t)m->rax;

	pthread_mutex_lock(&w->machine.board_lock);
	if (write) {
		board_port_write(w->machine.board, m->port_number, bytes, data);
	} else {
		data = board_port_read(w->machine.board, m->port_number, bytes);
	}
	pthread_mutex_unlock(&w->machine.board_lock);
	if (unlikely(w->config.trace != NULL) && traced(w, "port")) {
		log_line("trace: vp %u port %s 0x%x %u bytes 0x%x rip 0x%" PRIx64, t->index,
			 write ? "write" : "read", m->port_number, bytes, data, m->header.rip);
	}
	finish(t, data);
}

static void memory_access(struct vp_thread *t, const struct hv_x64_memory_intercept_message *m)
{
	struct worker *w = t->worker;
	uint8_t access = m->header.intercept_access_type;
	uint64_t data = m->access_data;
	bool there;

	if (access == ACCESS_EXECUTE) {
		log_line("vp %u executes at GPA 0x%" PRIx64
			 ", where there is no memory (RIP 0x%" PRIx64 ")",
			 t->index, m->gpa, m->header.rip);
		worker_end_round(w, END_CRASH);
		return;
	}
	pthread_mutex_lock(&w->machine.board_lock);
	if (access == ACCESS_WRITE) {
		there = board_mmio_write(w->machine.board, m->gpa, m->access_bytes, data);
	} else {
		there = board_mmio_read(w->machine.board, m->gpa, m->access_bytes, &data);
	}
	pthread_mutex_unlock(&w->machine.board_lock);
	if (unlikely(w->config.trace != NULL) && traced(w, "mmio")) {
		log_line("trace: vp %u %s GPA 0x%" PRIx64 " %u bytes 0x%" PRIx64
			 "%s rip 0x%" PRIx64,
			 t->index, access == ACCESS_WRITE ? "write" : "read", m->gpa,
			 m->access_bytes, data, there ? "" : " (nobody there)", m->header.rip);
	}
	finish(t, data);
}

static void msr_access(struct vp_thread *t, const struct hv_x64_msr_intercept_message *m)
{
	if (traced(t->worker, "msr")) {
		log_line("trace: vp %u unknown MSR %s 0x%x rip 0x%" PRIx64, t->index,
			 m->header.intercept_access_type == ACCESS_WRITE ? "write" : "read",
			 m->msr_number, m->header.rip);
	}
	vid_finish_fault(t->vp, X86_EXC_GP, true, 0);
}

static void cpuid_access(struct vp_thread *t, const struct hv_x64_cpuid_intercept_message *m)
{
	const uint64_t values[4] = {m->default_result_rax, m->default_result_rbx,
				    m->default_result_rcx, m->default_result_rdx};

	log_line("trace: vp %u cpuid 0x%x.%u: 0x%x 0x%x 0x%x 0x%x rip 0x%" PRIx64, t->index,
		 (uint32_t)m->rax, (uint32_t)m->rcx, (uint32_t)values[0], (uint32_t)values[1],
		 (uint32_t)values[2], (uint32_t)values[3], m->header.rip);
	vid_finish(t->vp, values);
}

/* Only looked at: the guest gets its exception. */
static void exception(struct vp_thread *t, const struct hv_x64_exception_intercept_message *m)
{
	log_line("trace: vp %u exception %u error 0x%x parameter 0x%" PRIx64 " rip 0x%" PRIx64,
		 t->index, m->exception_vector, m->error_code, m->exception_parameter,
		 m->header.rip);
	finish(t, 0);
}

static void report_triple_fault(struct vp_thread *t,
				const struct hv_x64_intercept_message_header *h)
{
	struct hv_u128 cr0 = {0}, cr2 = {0}, cr3 = {0}, rsp = {0};

	vid_reg_get(t->vp, HvX64RegisterCr0, &cr0);
	vid_reg_get(t->vp, HvX64RegisterCr2, &cr2);
	vid_reg_get(t->vp, HvX64RegisterCr3, &cr3);
	vid_reg_get(t->vp, HvX64RegisterRsp, &rsp);
	log_line("the guest crashed: triple fault on vp %u at CS:RIP %x:0x%" PRIx64
		 ", RSP 0x%" PRIx64 ", CR0 0x%" PRIx64 ", CR2 0x%" PRIx64 ", CR3 0x%" PRIx64,
		 t->index, h->cs.selector, h->rip, rsp.lo, cr0.lo, cr2.lo, cr3.lo);
	worker_end_round(t->worker, END_CRASH);
}

void intercept_handle(struct vp_thread *t, const struct hv_message *message)
{
	const void *payload = message->payload;

	switch ((uint32_t)message->type) {
	case (uint32_t)HvMessageTypeX64IoPortIntercept:
		port_access(t, payload);
		break;
	case (uint32_t)HvMessageTypeUnmappedGpa:
	case (uint32_t)HvMessageTypeGpaIntercept:
		memory_access(t, payload);
		break;
	case (uint32_t)HvMessageTypeMsrIntercept:
		msr_access(t, payload);
		break;
	case (uint32_t)HvMessageTypeX64CpuidIntercept:
		cpuid_access(t, payload);
		break;
	case (uint32_t)HvMessageTypeExceptionIntercept:
		exception(t, payload);
		break;
	case (uint32_t)HvMessageTypeUnrecoverableException:
		report_triple_fault(t, payload);
		break;
	case (uint32_t)HvMessageTypeUnsupportedFeature:
		log_line("vp %u: the engine cannot go on: %.*s", t->index,
			 (int)(HV_MESSAGE_PAYLOAD_BYTE_COUNT -
			       sizeof(struct hv_x64_intercept_message_header)),
			 (const char *)message->payload +
				 sizeof(struct hv_x64_intercept_message_header));
		worker_end_round(t->worker, END_HOST_FAILURE);
		break;
	default:
		log_line("vp %u: the hypervisor stopped it with message 0x%x, which the worker "
			 "does not know",
			 t->index, (uint32_t)message->type);
		worker_end_round(t->worker, END_HOST_FAILURE);
		break;
	}
}
