// SPDX-License-Identifier: Apache-2.0
/* The kernel on its way into the guest's memory, and the registers that it finds. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/hv.h"
#include "host/log.h"
#include "lib/bits.h"
#include "machine.h"

/* A file as the loader wants it; mapped only while it loads. */
struct file_view {
	void *data;
	size_t bytes;
};

static int view_file(int fd, struct file_view *ret)
{
	struct stat st;

	*ret = (struct file_view){0};
	if (fd < 0) {
		return 0;
	}
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (st.st_size == 0) {
		return 0;
	}
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED) {
		return -errno;
	}
	*ret = (struct file_view){data, (size_t)st.st_size};
	return 0;
}

static void unview_file(struct file_view *view)
{
	if (view->data != NULL) {
		munmap(view->data, view->bytes);
	}
}

static int set_segment(struct vid_vp *vp, uint32_t name, const struct x86_segment *s)
{
	const struct hv_u128 value = {s->base, s->limit | (uint64_t)s->selector << 32 |
						       (uint64_t)s->attributes << 48};

	return vid_reg_set(vp, name, &value);
}

static int set_table(struct vid_vp *vp, uint32_t name, const struct x86_table *t)
{
	const struct hv_u128 value = {(uint64_t)t->limit << 48, t->base};

	return vid_reg_set(vp, name, &value);
}

/* Control registers go in the order in which a processor would accept them. */
int kernel_set_start(struct vid_vp *vp, const struct loader_start *start)
{
	const struct {
		uint32_t name;
		uint64_t value;
	} words[] = {
		{HvX64RegisterCr4, start->cr4},	  {HvX64RegisterCr3, start->cr3},
		{HvX64RegisterEfer, start->efer}, {HvX64RegisterCr0, start->cr0},
		{HvX64RegisterRip, start->rip},	  {HvX64RegisterRflags, start->rflags},
	};
	static const uint32_t segments[X86_SEG_COUNT] = {
		HvX64RegisterEs, HvX64RegisterCs, HvX64RegisterSs,   HvX64RegisterDs,
		HvX64RegisterFs, HvX64RegisterGs, HvX64RegisterLdtr, HvX64RegisterTr,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(words) && r == 0; i++) {
		r = vid_reg_set64(vp, words[i].name, words[i].value);
	}
	for (uint32_t i = 0; i < X86_GPR_COUNT && r == 0; i++) {
		r = vid_reg_set64(vp, HvX64RegisterRax + i, start->gpr[i]);
	}
	for (size_t i = 0; i < X86_SEG_COUNT && r == 0; i++) {
		r = set_segment(vp, segments[i], &start->segment[i]);
	}
	if (r == 0) {
		r = set_table(vp, HvX64RegisterGdtr, &start->gdtr);
	}
	if (r == 0) {
		r = set_table(vp, HvX64RegisterIdtr, &start->idtr);
	}
	return r;
}

/* One line that names the option, what was found and what was expected. */
static void report_load(const struct worker *w, const struct loader_error *error)
{
	switch (error->part) {
	case LOADER_PART_KERNEL:
		log_line("--kernel %s: %s", w->config.kernel_path, error->text);
		break;
	case LOADER_PART_INITRD:
		log_line("--initrd %s: %s", w->config.initrd_path, error->text);
		break;
	case LOADER_PART_CMDLINE:
		log_line("--cmdline: %s", error->text);
		break;
	case LOADER_PART_MEMORY:
		log_line("--memory %lluM: %s", (unsigned long long)(w->map.ram_bytes >> 20),
			 error->text);
		break;
	}
}

enum worker_end kernel_load(struct worker *w, uint64_t rsdp_gpa, struct loader_start *ret)
{
	struct file_view kernel, initrd = {0};
	struct loader_error error = {0};
	int r = view_file(w->config.kernel_fd, &kernel);

	if (r < 0) {
		log_line("--kernel %s: %s", w->config.kernel_path, strerror(-r));
		return END_HOST_FAILURE;
	}
	r = view_file(w->config.initrd_fd, &initrd);
	if (r < 0) {
		log_line("--initrd %s: %s", w->config.initrd_path, strerror(-r));
		unview_file(&kernel);
		return END_HOST_FAILURE;
	}
	const struct loader_input in = {
		.kernel = kernel.data,
		.kernel_bytes = kernel.bytes,
		.initrd = initrd.data,
		.initrd_bytes = initrd.bytes,
		.cmdline = w->config.cmdline,
		.map = &w->map,
		.rsdp_gpa = rsdp_gpa,
	};
	enum loader_status status =
		loader_load(&in, vid_partition_gmem(w->machine.partition), ret, &error);

	unview_file(&kernel);
	unview_file(&initrd);
	if (status != LOADER_OK) {
		report_load(w, &error);
		return status == LOADER_HOST ? END_HOST_FAILURE : END_USAGE;
	}
	return END_NONE;
}
