// SPDX-License-Identifier: Apache-2.0
#include "lib/crc32c.h"

#include "lib/bits.h"

/*
 * tables[k][n] is the checksum register after byte n and k zero bytes. The tables are linear in the bits of n, so each follows from eight
 * numbers and the compiler fills in the rest.
 */
#define BIT_OF(n, i, b) (((n) >> (i)) & 1 ? (b) : 0u)
#define ENTRY(n, b0, b1, b2, b3, b4, b5, b6, b7)                                                   \
	(BIT_OF(n, 0, b0) ^ BIT_OF(n, 1, b1) ^ BIT_OF(n, 2, b2) ^ BIT_OF(n, 3, b3) ^               \
	 BIT_OF(n, 4, b4) ^ BIT_OF(n, 5, b5) ^ BIT_OF(n, 6, b6) ^ BIT_OF(n, 7, b7))
#define ROW4(n, ...)                                                                               \
	ENTRY(n, __VA_ARGS__), ENTRY((n) + 1, __VA_ARGS__), ENTRY((n) + 2, __VA_ARGS__),           \
		ENTRY((n) + 3, __VA_ARGS__)
#define ROW16(n, ...)                                                                              \
	ROW4(n, __VA_ARGS__), ROW4((n) + 4, __VA_ARGS__), ROW4((n) + 8, __VA_ARGS__),              \
		ROW4((n) + 12, __VA_ARGS__)
#define ROW64(n, ...)                                                                              \
	ROW16(n, __VA_ARGS__), ROW16((n) + 16, __VA_ARGS__), ROW16((n) + 32, __VA_ARGS__),         \
		ROW16((n) + 48, __VA_ARGS__)
#define ROWS(...)                                                                                  \
	ROW64(0, __VA_ARGS__), ROW64(64, __VA_ARGS__), ROW64(128, __VA_ARGS__),                    \
		ROW64(192, __VA_ARGS__)

static const uint32_t tables[8][256] = {
	{ROWS(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
	      0x82f63b78)},
	{ROWS(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
	      0xfbc3faf9)},
	{ROWS(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
	      0x8b277743)},
	{ROWS(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
	      0x52a0c93f)},
	{ROWS(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
	      0x6ea2d55c)},
	{ROWS(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
	      0x1c08b7d6)},
	{ROWS(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
	      0xf56e0ef4)},
	{ROWS(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
	      0x34019664)},
};

/* Below this many bytes the tables are done before the processor has answered, if a hypervisor answers for it (20 us and more). */
#define WORTH_ASKING 16384u
#define CPUID_1_ECX_SSE42 BIT32(20)

static uint32_t table_byte(uint32_t crc, uint8_t byte)
{
	return (crc >> 8) ^ tables[0][(crc ^ byte) & 0xff];
}

static uint32_t table_word(uint32_t crc, uint64_t word)
{
	word ^= crc;
	return tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
	       tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
	       tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
	       tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t bytes)
{
	for (; bytes >= 8; p += 8, bytes -= 8) {
		crc = table_word(crc, load_le64(p));
	}
	for (; bytes > 0; p++, bytes--) {
		crc = table_byte(crc, *p);
	}
	return crc;
}

static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t bytes)
{
	uint64_t wide = crc;

	for (; bytes >= 8; p += 8, bytes -= 8) {
		__asm__("crc32q %1, %0" : "+r"(wide) : "r"(load_le64(p)));
	}
	crc = (uint32_t)wide;
	for (; bytes > 0; p++, bytes--) {
		__asm__("crc32b %1, %0" : "+r"(crc) : "r"(*p));
	}
	return crc;
}

bool crc32c_has_instruction(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return (ecx & CPUID_1_ECX_SSE42) != 0;
}

uint32_t crc32c_with(bool instruction, uint32_t crc, const void *data, size_t bytes)
{
	return instruction ? ~by_instruction(~crc, data, bytes) : ~by_table(~crc, data, bytes);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return crc32c_with(bytes >= WORTH_ASKING && crc32c_has_instruction(), crc, data, bytes);
}
