// SPDX-License-Identifier: Apache-2.0
/* Runs a job of the disk library to its end, with a progress line where a person looks. */
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "lib/bits.h"

#define NS_PER_S UINT64_C(1000000000)
#define REDRAW_NS (NS_PER_S / 5)
#define RATE_WINDOW_NS (5 * NS_PER_S)
#define BAR_MAX 40

struct progress_line {
	bool shown; /* standard error is a terminal */
	bool drawn;
	uint64_t start_ns;
	uint64_t drawn_ns;
	/* For the rate: where the job was at the start of the present window and of the one before. */
	uint64_t mark_ns[2], mark_bytes[2];
};

uint64_t disk_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static unsigned terminal_columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col != 0 ? w.ws_col : 80;
}

static void progress_start(struct progress_line *l)
{
	uint64_t now = disk_now_ns();

	*l = (struct progress_line){
		.shown = isatty(STDERR_FILENO) == 1,
		.start_ns = now,
		.mark_ns = {now, now},
	};
}

/* Bytes per second over the last five to ten seconds. */
static uint64_t rate_of(struct progress_line *l, uint64_t now, uint64_t done)
{
	if (now - l->mark_ns[1] >= RATE_WINDOW_NS) {
		l->mark_ns[0] = l->mark_ns[1];
		l->mark_bytes[0] = l->mark_bytes[1];
		l->mark_ns[1] = now;
		l->mark_bytes[1] = done;
	}
	uint64_t since = now - l->mark_ns[0];

	return since == 0 || done < l->mark_bytes[0]
		       ? 0
		       : mul_div_u64(done - l->mark_bytes[0], NS_PER_S, since);
}

static void remaining_text(uint64_t bytes, uint64_t rate, char text[32])
{
	if (rate == 0) {
		snprintf(text, 32, "-:--");
		return;
	}
	uint64_t s = min_u64(bytes / rate, 359999);

	if (s >= 3600) {
		snprintf(text, 32, "%u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
			 (unsigned)(s % 60));
	} else {
		snprintf(text, 32, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
	}
}

static void progress_draw(struct progress_line *l, const struct vhd_progress *p)
{
	char size[32], remaining[32], text[256], bar[BAR_MAX + 1];
	uint64_t now = disk_now_ns();

	if (!l->shown || (l->drawn && now - l->drawn_ns < REDRAW_NS)) {
		return;
	}
	uint64_t done = min_u64(p->done_bytes, p->total_bytes);
	uint64_t rate = rate_of(l, now, done);
	unsigned percent =
		p->total_bytes == 0 ? 0 : (unsigned)mul_div_u64(done, 100, p->total_bytes);

	remaining_text(p->total_bytes - done, rate, remaining);
	int length = snprintf(text, sizeof(text), "%s  %3u %%  %s/s  %s left", p->phase, percent,
			      disk_size_text(rate, size), remaining);
	unsigned columns = terminal_columns();
	unsigned cells = columns > (unsigned)length + 5
				 ? (unsigned)min_u64(columns - (unsigned)length - 5, BAR_MAX)
				 : 0;

	memset(bar, '.', cells);
	memset(bar, '#', cells * percent / 100);
	bar[cells] = '\0';
	if (cells >= 8) {
		fprintf(stderr, "\r[%s]  %s\033[K", bar, text);
	} else {
		fprintf(stderr, "\r%.*s\033[K", (int)columns - 1, text);
	}
	fflush(stderr);
	l->drawn = true;
	l->drawn_ns = now;
}

static void progress_clear(struct progress_line *l)
{
	if (l->drawn) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}

int disk_run_job(struct disk_session *s, struct vhd_job *job, struct disk_summary *ret)
{
	struct progress_line line;
	struct vhd_progress progress = {.phase = ""};
	struct vhd_error error = {{0}};
	int r = 1;

	progress_start(&line);
	while (r == 1 && !disk_interrupted()) {
		r = vhd_job_step(job, &progress, &error);
		progress_draw(&line, &progress);
	}
	progress_clear(&line);
	vhd_job_destroy(job);
	*ret = (struct disk_summary){.done_bytes = progress.done_bytes,
				     .ns = disk_now_ns() - line.start_ns};
	if (r == 1) {
		disk_say(s, "disk: interrupted; nothing half-made is left");
		return DISK_INTERRUPTED;
	}
	return r == 0 ? CLI_OK : disk_fail(s, r, &error);
}
