// SPDX-License-Identifier: Apache-2.0
#include "rtc.h"

#include <string.h>

#include "lib/bits.h"

enum {
	REG_SECONDS = 0x00,
	REG_SECONDS_ALARM = 0x01,
	REG_MINUTES = 0x02,
	REG_MINUTES_ALARM = 0x03,
	REG_HOURS = 0x04,
	REG_HOURS_ALARM = 0x05,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_CENTURY = 0x32,
};

#define A_UIP 0x80u
#define A_DIVIDER 0x70u
#define A_DIVIDER_RUN 0x20u
#define A_RATE 0x0fu

#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define B_ENABLES (B_PIE | B_AIE | B_UIE)

#define C_IRQF 0x80u
#define C_PF 0x40u
#define C_AF 0x20u
#define C_UF 0x10u

#define D_VALID 0x80u

#define HOUR_PM 0x80u
#define ALARM_ANY 0xc0u /* this and above: don't care */

/* An update is announced this long before it happens. */
#define UIP_NS UINT64_C(244000)
/* Missed seconds are looked at for alarms one by one, up to here. */
#define ALARM_SECONDS_MAX 3600

#define SECONDS_PER_DAY 86400u
/* RAM above this lies above 4 GiB. */
#define LOW_RAM_LIMIT UINT64_C(0xf8000000)

struct civil {
	unsigned year; /* 0..9999 */
	unsigned month;
	unsigned day;
	unsigned weekday; /* 1 Sunday */
	unsigned hour;
	unsigned minute;
	unsigned second;
};

/* Days since 1970-01-01 of a day of the Gregorian calendar; years start in March so that leap days come last. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t m = month <= 2 ? (int64_t)month + 9 : (int64_t)month - 3;
	int64_t days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;

	return days - 719468;
}

static void civil_from_seconds(uint64_t seconds, struct civil *ret)
{
	uint64_t days = seconds / SECONDS_PER_DAY + 719468;
	uint64_t era = days / 146097;
	unsigned in_era = (unsigned)(days % 146097);
	unsigned year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned m = (5 * in_year + 2) / 153;
	unsigned in_day = (unsigned)(seconds % SECONDS_PER_DAY);

	ret->day = in_year - (153 * m + 2) / 5 + 1;
	ret->month = m < 10 ? m + 3 : m - 9;
	ret->year = (unsigned)(year_of_era + era * 400) + (ret->month <= 2);
	ret->weekday = (unsigned)((seconds / SECONDS_PER_DAY + 4) % 7) + 1;
	ret->hour = in_day / 3600;
	ret->minute = in_day / 60 % 60;
	ret->second = in_day % 60;
}

static uint8_t encode(const struct rtc *t, unsigned v)
{
	return (uint8_t)(t->ram[REG_B] & B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}

static unsigned decode(const struct rtc *t, uint8_t v)
{
	return t->ram[REG_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(const struct rtc *t, unsigned hour)
{
	if (t->ram[REG_B] & B_24H) {
		return encode(t, hour);
	}
	return (uint8_t)(encode(t, hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct rtc *t, uint8_t v)
{
	if (t->ram[REG_B] & B_24H) {
		return decode(t, v);
	}
	return decode(t, v & (uint8_t)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* Guest's time in ns since 1970; the clock cannot show what lies before. */
static uint64_t time_ns(const struct rtc *t)
{
	int64_t ns;

	if (__builtin_add_overflow((int64_t)t->wall_ns(t->ctx), t->offset_ns, &ns)) {
		return INT64_MAX;
	}
	return ns > 0 ? (uint64_t)ns : 0;
}

static bool clock_runs(const struct rtc *t)
{
	return !(t->ram[REG_B] & B_SET) && (t->ram[REG_A] & A_DIVIDER) == A_DIVIDER_RUN;
}

static void show_time(struct rtc *t, uint64_t seconds)
{
	struct civil c;

	civil_from_seconds(seconds, &c);
	t->ram[REG_SECONDS] = encode(t, c.second);
	t->ram[REG_MINUTES] = encode(t, c.minute);
	t->ram[REG_HOURS] = encode_hour(t, c.hour);
	t->ram[REG_WEEKDAY] = (uint8_t)c.weekday;
	t->ram[REG_DAY] = encode(t, c.day);
	t->ram[REG_MONTH] = encode(t, c.month);
	t->ram[REG_YEAR] = encode(t, c.year % 100);
	t->ram[REG_CENTURY] = encode(t, c.year / 100 % 100);
}

/* The shown registers become the time, whatever nonsense they hold; the fraction of the running second stays. */
static void set_time(struct rtc *t)
{
	unsigned century = decode(t, t->ram[REG_CENTURY]);
	unsigned year = decode(t, t->ram[REG_YEAR]) % 100 +
			(century >= 19 && century <= 99 ? century : 20) * 100;
	unsigned month = decode(t, t->ram[REG_MONTH]);
	unsigned day = decode(t, t->ram[REG_DAY]);

	month = month < 1 ? 1 : month > 12 ? 12 : month;
	day = day < 1 ? 1 : day > 31 ? 31 : day;
	int64_t seconds = days_from_civil(year, month, day) * (int64_t)SECONDS_PER_DAY +
			  (int64_t)decode_hour(t, t->ram[REG_HOURS]) * 3600 +
			  (int64_t)decode(t, t->ram[REG_MINUTES]) * 60 +
			  decode(t, t->ram[REG_SECONDS]);
	int64_t fraction = (int64_t)(time_ns(t) % CHIP_NS_PER_S);
	/* ns since 1970 fit in 63 bits until 2262 */
	const int64_t limit = (int64_t)(INT64_MAX / CHIP_NS_PER_S) - 1;

	seconds = seconds < 0 ? 0 : seconds > limit ? limit : seconds;
	t->offset_ns = seconds * (int64_t)CHIP_NS_PER_S + fraction - (int64_t)t->wall_ns(t->ctx);
	t->second = (uint64_t)seconds;
}

static bool alarm_field(const struct rtc *t, unsigned alarm, uint8_t shown)
{
	return t->ram[alarm] >= ALARM_ANY || t->ram[alarm] == shown;
}

static bool alarm_at(const struct rtc *t, uint64_t seconds)
{
	struct civil c;

	civil_from_seconds(seconds, &c);
	return alarm_field(t, REG_SECONDS_ALARM, encode(t, c.second)) &&
	       alarm_field(t, REG_MINUTES_ALARM, encode(t, c.minute)) &&
	       alarm_field(t, REG_HOURS_ALARM, encode_hour(t, c.hour));
}

/* Length of the periodic interrupt's period; 0: off. */
static uint64_t periodic_ns(const struct rtc *t)
{
	unsigned rate = t->ram[REG_A] & A_RATE;

	if (rate == 0 || (t->ram[REG_A] & A_DIVIDER) != A_DIVIDER_RUN) {
		return 0;
	}
	if (rate <= 2) {
		rate += 7; /* with a 32 kHz crystal 1 and 2 are 256 and 128 Hz */
	}
	return (CHIP_NS_PER_S << (rate - 1)) / 32768;
}

static void update_irq(struct rtc *t)
{
	bool level = (t->ram[REG_C] & t->ram[REG_B] & B_ENABLES) != 0;

	t->ram[REG_C] = (uint8_t)((t->ram[REG_C] & ~C_IRQF) | (level ? C_IRQF : 0));
	if (level != t->irq_level) {
		t->irq_level = level;
		chip_irq(&t->link, RTC_IRQ, level);
	}
}

/* Brings the flags of register C up to date: they are set by events whether or not somebody wants an interrupt. */
static void catch_up(struct rtc *t)
{
	uint64_t now_ns = chip_now(&t->link);
	uint64_t period = periodic_ns(t);

	if (clock_runs(t)) {
		uint64_t seconds = time_ns(t) / CHIP_NS_PER_S;
		uint64_t missed = seconds > t->second ? seconds - t->second : 0;

		if (missed > 0) {
			t->ram[REG_C] |= C_UF;
		}
		for (uint64_t i = 0; i < min_u64(missed, ALARM_SECONDS_MAX); i++) {
			if (alarm_at(t, seconds - i)) {
				t->ram[REG_C] |= C_AF;
				break;
			}
		}
		t->second = seconds;
	}
	if (period != 0 && now_ns - t->period_ns >= period) {
		t->ram[REG_C] |= C_PF;
		t->period_ns = now_ns - (now_ns - t->period_ns) % period;
	}
	update_irq(t);
}

/* Timers run only for interrupts that are enabled and not already pending. */
static void rearm(struct rtc *t)
{
	uint64_t now_ns = chip_now(&t->link);
	uint64_t period = periodic_ns(t);
	uint8_t wanted = t->ram[REG_B] & (uint8_t)~t->ram[REG_C] & B_ENABLES;
	uint64_t deadline = CHIP_NEVER;

	if ((wanted & B_PIE) && period != 0) {
		deadline = t->period_ns + period;
	}
	if ((wanted & (B_UIE | B_AIE)) && clock_runs(t)) {
		uint64_t left = CHIP_NS_PER_S - time_ns(t) % CHIP_NS_PER_S;

		deadline = min_u64(deadline, now_ns + left);
	}
	chip_arm(&t->link, deadline);
}

static void rtc_timer(void *chip, uint64_t now_ns)
{
	catch_up(chip);
	rearm(chip);
}

static bool is_time(uint8_t index)
{
	switch (index) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY:
		return true;
	default:
		return false;
	}
}

static uint8_t read_a(const struct rtc *t)
{
	bool soon = time_ns(t) % CHIP_NS_PER_S >= CHIP_NS_PER_S - UIP_NS;

	return (uint8_t)(t->ram[REG_A] | (clock_runs(t) && soon ? A_UIP : 0));
}

static uint8_t read_c(struct rtc *t)
{
	catch_up(t);
	uint8_t v = t->ram[REG_C];

	t->ram[REG_C] = 0;
	update_irq(t);
	rearm(t);
	return v;
}

static uint8_t read_register(struct rtc *t, uint8_t index)
{
	if (is_time(index)) {
		if (clock_runs(t)) {
			show_time(t, time_ns(t) / CHIP_NS_PER_S);
		}
		return t->ram[index];
	}
	switch (index) {
	case REG_A:
		return read_a(t);
	case REG_C:
		return read_c(t);
	case REG_D:
		return D_VALID;
	default:
		return t->ram[index];
	}
}

/* The clock stops and starts with SET and with the divider; what it shows while it stands is what it goes on with. */
static void write_control(struct rtc *t, unsigned reg, uint8_t v)
{
	bool ran = clock_runs(t);

	catch_up(t);
	if (ran) {
		show_time(t, time_ns(t) / CHIP_NS_PER_S);
	}
	if (reg == REG_A) {
		t->ram[REG_A] = v & (uint8_t)~A_UIP;
		t->period_ns = chip_now(&t->link);
	} else {
		t->ram[REG_B] = v & B_SET ? v & (uint8_t)~B_UIE : v;
	}
	if (!ran && clock_runs(t)) {
		set_time(t);
	}
	update_irq(t);
	rearm(t);
}

static void write_register(struct rtc *t, uint8_t index, uint8_t v)
{
	switch (index) {
	case REG_A:
	case REG_B:
		write_control(t, index, v);
		return;
	case REG_C:
	case REG_D:
		return;
	default:
		break;
	}
	if (is_time(index) && clock_runs(t)) {
		catch_up(t);
		show_time(t, time_ns(t) / CHIP_NS_PER_S);
		t->ram[index] = v;
		set_time(t);
		return;
	}
	t->ram[index] = v;
}

static uint32_t rtc_read(void *chip, uint16_t port, unsigned bytes)
{
	struct rtc *t = chip;

	return port & 1 ? read_register(t, t->index) : t->index;
}

static void rtc_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct rtc *t = chip;

	if (port & 1) {
		write_register(t, t->index, (uint8_t)data);
	} else {
		t->index = data & (RTC_BYTES - 1); /* bit 7 masks the NMI, and there is none */
	}
}

static uint32_t bank_read(void *chip, uint16_t port, unsigned bytes)
{
	struct rtc *t = chip;

	return port & 1 ? t->bank[t->bank_index] : t->bank_index;
}

static void bank_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct rtc *t = chip;

	if (port & 1) {
		t->bank[t->bank_index] = (uint8_t)data;
	} else {
		t->bank_index = data & (RTC_BYTES - 1);
	}
}

/* As on the chip: RESET clears the interrupt enables and flags, nothing else. */
static void rtc_reset(void *chip)
{
	struct rtc *t = chip;

	t->index = 0;
	t->bank_index = 0;
	t->ram[REG_B] &= (uint8_t)~B_ENABLES;
	t->ram[REG_C] = 0;
	t->period_ns = chip_now(&t->link);
	update_irq(t);
	chip_arm(&t->link, CHIP_NEVER);
}

void rtc_init_cmos(struct rtc *t)
{
	const uint64_t mib = UINT64_C(1) << 20;
	uint64_t low = min_u64(t->ram_bytes, LOW_RAM_LIMIT);
	uint64_t above_1m = low > mib ? min_u64((low - mib) / 1024, 0xfc00) : 0;
	uint64_t above_16m = low > 16 * mib ? (low - 16 * mib) / 65536 : 0;
	uint64_t above_4g = min_u64((t->ram_bytes - low) / 65536, 0xffffff);
	uint16_t sum = 0;

	t->ram[REG_A] = A_DIVIDER_RUN | 6;
	t->ram[REG_B] = B_24H;
	t->ram[0x14] = 0x06; /* equipment: FPU, no floppy */
	store_le16(&t->ram[0x15], 640);
	store_le16(&t->ram[0x17], (uint16_t)above_1m);
	store_le16(&t->ram[0x30], (uint16_t)above_1m);
	store_le16(&t->ram[0x34], (uint16_t)above_16m);
	t->ram[0x5b] = (uint8_t)above_4g;
	store_le16(&t->ram[0x5c], (uint16_t)(above_4g >> 8));
	t->ram[0x5f] = (uint8_t)min_u64(t->processors - 1, 0xff);
	for (unsigned i = 0x10; i <= 0x2d; i++) {
		sum = (uint16_t)(sum + t->ram[i]);
	}
	t->ram[0x2e] = (uint8_t)(sum >> 8);
	t->ram[0x2f] = (uint8_t)sum;
	t->second = time_ns(t) / CHIP_NS_PER_S;
	show_time(t, t->second);
}

static void rtc_save(const void *chip, struct state_writer *w)
{
	const struct rtc *t = chip;

	state_put_u8(w, t->index);
	state_put_u8(w, t->bank_index);
	state_put_bytes(w, t->ram, sizeof(t->ram));
	state_put_bytes(w, t->bank, sizeof(t->bank));
	state_put_u64(w, (uint64_t)t->offset_ns);
	state_put_u64(w, t->second);
	state_put_u64(w, chip_now(&t->link) - t->period_ns);
	state_put_u8(w, t->irq_level);
}

static bool rtc_restore(void *chip, struct state_reader *r)
{
	struct rtc *t = chip;
	const uint64_t limit = INT64_MAX / CHIP_NS_PER_S;

	t->index = state_get_u8(r);
	t->bank_index = state_get_u8(r);
	state_get_bytes(r, t->ram, sizeof(t->ram));
	state_get_bytes(r, t->bank, sizeof(t->bank));
	t->offset_ns = (int64_t)state_get_u64(r);
	t->second = state_get_u64(r);
	t->period_ns = chip_now(&t->link) - state_get_u64(r);
	t->irq_level = state_get_u8(r) != 0;
	if (r->bad || t->index >= RTC_BYTES || t->bank_index >= RTC_BYTES || t->second > limit) {
		t->second = 0;
		t->index = 0;
		t->bank_index = 0;
		return false;
	}
	rearm(t);
	return true;
}

const struct chip_ops rtc_chip = {
	.tag = STATE_TAG('R', 'T', 'C', ' '),
	.version = 1,
	.reset = rtc_reset,
	.save = rtc_save,
	.restore = rtc_restore,
	.timer = rtc_timer,
};

const struct bus_port_ops rtc_ports = {rtc_read, rtc_write};
const struct bus_port_ops rtc_bank_ports = {bank_read, bank_write};
