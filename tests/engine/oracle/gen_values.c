// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "oracle.h"

uint64_t oracle_value_int(struct oracle_rng *rng)
{
	uint64_t r = oracle_random(rng);
	unsigned shift = (unsigned)(r >> 58);

	switch (oracle_below(rng, 10)) {
	case 0:
		return r & 0xff; /* small */
	case 1:
		return 0 - (r & 0xff);
	case 2:
		return UINT64_C(1) << shift; /* one bit and its neighbours */
	case 3:
		return (UINT64_C(1) << shift) - 1;
	case 4:
		return ~(UINT64_C(1) << shift);
	case 5: {
		static const uint64_t edges[] = {
			0,
			1,
			UINT64_MAX,
			0x7f,
			0x80,
			0xff,
			0x7fff,
			0x8000,
			0xffff,
			0x7fffffff,
			0x80000000,
			0xffffffff,
			UINT64_C(0x7fffffffffffffff),
			UINT64_C(0x8000000000000000),
			UINT64_C(0xffffffff80000000),
			UINT64_C(0x8080808080808080),
			UINT64_C(0x7f7f7f7f7f7f7f7f),
			UINT64_C(0x8000800080008000),
			UINT64_C(0x7fff7fff7fff7fff),
			UINT64_C(0x9999999999999999),
		};
		return edges[r % (sizeof(edges) / sizeof(edges[0]))];
	}
	case 6:
		return r & oracle_random(rng) & oracle_random(rng); /* few bits */
	default:
		return r;
	}
}

uint32_t oracle_value_f32(struct oracle_rng *rng)
{
	static const uint32_t edges[] = {
		0x00000000, 0x00000001, 0x007fffff, 0x00800000, 0x00800001, 0x3f800000, 0x3f800001,
		0x3f7fffff, 0x40000000, 0x3f000000, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7f800001,
		0x7fa00000, 0x7fffffff, 0x4effffff, 0x4f000000, 0x4f000001, 0x5effffff, 0x5f000000,
		0x4b000000, 0x4b000001, 0x4affffff, 0x3fc00000, 0x40200000, 0x33800000,
	};
	uint64_t r = oracle_random(rng);
	uint32_t sign = (uint32_t)(r >> 32) & 0x80000000u;

	switch (oracle_below(rng, 8)) {
	case 0:
	case 1:
		return edges[(r & 0xffff) % (sizeof(edges) / sizeof(edges[0]))] | sign;
	case 2:
		return (uint32_t)r; /* anything */
	case 3:
		return (uint32_t)r & 0x807fffff; /* denormal */
	case 4:					 /* a whole number or a half */
		return sign | (0x3f800000u + (((uint32_t)r & 31) << 23)) |
		       ((uint32_t)(r >> 8) & 0x00700000);
	default: /* around one, where sums and products stay in range */
		return sign | ((0x3f800000u + ((((uint32_t)r & 63) - 32) << 23)) |
			       ((uint32_t)(r >> 8) & 0x007fffff));
	}
}

uint64_t oracle_value_f64(struct oracle_rng *rng)
{
	static const uint64_t edges[] = {
		UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000001),
		UINT64_C(0x000fffffffffffff), UINT64_C(0x0010000000000000),
		UINT64_C(0x3ff0000000000000), UINT64_C(0x3ff0000000000001),
		UINT64_C(0x3fefffffffffffff), UINT64_C(0x7fefffffffffffff),
		UINT64_C(0x7ff0000000000000), UINT64_C(0x7ff8000000000000),
		UINT64_C(0x7ff0000000000001), UINT64_C(0x7ff4000000000000),
		UINT64_C(0x41dfffffffc00000), UINT64_C(0x41e0000000000000),
		UINT64_C(0x43dfffffffffffff), UINT64_C(0x43e0000000000000),
		UINT64_C(0x3ff8000000000000), UINT64_C(0x4004000000000000),
		UINT64_C(0x47efffffe0000000), UINT64_C(0x47efffffefffffff),
		UINT64_C(0x47f0000000000000), UINT64_C(0x3810000000000000),
		UINT64_C(0x380fffffffffffff), UINT64_C(0x36a0000000000000),
		UINT64_C(0x3690000000000000), UINT64_C(0x3fe0000000000000),
	};
	uint64_t r = oracle_random(rng), q = oracle_random(rng);
	uint64_t sign = q & (UINT64_C(1) << 63);

	switch (oracle_below(rng, 8)) {
	case 0:
	case 1:
		return edges[(r & 0xffff) % (sizeof(edges) / sizeof(edges[0]))] | sign;
	case 2:
		return r;
	case 3:
		return r & UINT64_C(0x800fffffffffffff);
	case 4:
		return sign | ((UINT64_C(0x3ff) + (r & 63)) << 52) |
		       (q & UINT64_C(0x000f000000000000));
	default:
		return sign | ((UINT64_C(0x3ff) + (r & 127) - 64) << 52) |
		       (q & UINT64_C(0x000fffffffffffff));
	}
}

void oracle_value_f80(struct oracle_rng *rng, uint8_t value[10])
{
	uint64_t r = oracle_random(rng), significand = oracle_random(rng);
	uint16_t sign = (uint16_t)(r >> 48) & 0x8000, exponent = (uint16_t)(r & 0x7fff);

	switch (oracle_below(rng, 12)) {
	case 0: /* anything, unsupported encodings too */
		break;
	case 1: /* zero */
		exponent = 0;
		significand = 0;
		break;
	case 2: /* denormal and pseudo-denormal */
		exponent = 0;
		break;
	case 3: /* infinity */
		exponent = 0x7fff;
		significand = UINT64_C(1) << 63;
		break;
	case 4: /* not a number */
		exponent = 0x7fff;
		significand |= UINT64_C(1) << 63;
		break;
	case 5: /* whole numbers */
		exponent = (uint16_t)(0x3fff + (r >> 16) % 64);
		significand = (UINT64_C(1) << 63) | (significand & UINT64_C(0x7f00000000000000));
		break;
	case 6: /* doubles and singles, and their limits */
		exponent = (uint16_t)(0x3fff + ((r & 1) != 0 ? (int)((r >> 16) % 260) - 130
							     : (int)((r >> 16) % 2100) - 1050));
		significand = (UINT64_C(1) << 63) | (significand & ~UINT64_C(0x7ff));
		break;
	case 7: /* normal, any size */
		significand |= UINT64_C(1) << 63;
		break;
	case 8: { /* one and its neighbours */
		static const uint64_t near[] = {0,
						1,
						UINT64_C(0x7fffffffffffffff),
						UINT64_C(0x4000000000000000),
						UINT64_C(0x7ffffffffffffc00),
						0x400,
						0x3ff,
						0x401};
		exponent = (uint16_t)(0x3ffe + (r & 3));
		significand = (UINT64_C(1) << 63) | near[(r >> 8) & 7];
		break;
	}
	default:
		exponent = (uint16_t)(0x3fff + (int)((r >> 16) % 80) - 40);
		significand |= UINT64_C(1) << 63;
		break;
	}
	exponent |= sign;
	memcpy(value, &significand, 8);
	memcpy(value + 8, &exponent, 2);
}

void oracle_value_bcd(struct oracle_rng *rng, uint8_t value[10])
{
	for (unsigned i = 0; i < 9; i++) {
		value[i] = (uint8_t)(oracle_below(rng, 10) | oracle_below(rng, 10) << 4);
	}
	value[9] = oracle_percent(rng, 50) ? 0x80 : 0;
	if (oracle_percent(rng, 20)) {
		memset(value + 2, 0, 7);
	}
}

void oracle_value_fill(struct oracle_rng *rng, enum oracle_kind kind, uint8_t *buf, size_t bytes)
{
	uint8_t same = oracle_percent(rng, 60) ? 0 : (uint8_t)oracle_random(rng);

	for (size_t at = 0; at + 8 <= bytes; at += 8) {
		uint64_t v = 0;

		switch (kind) {
		case ORACLE_KIND_INT:
			v = oracle_value_int(rng);
			break;
		case ORACLE_KIND_F32:
			v = oracle_value_f32(rng) | (uint64_t)oracle_value_f32(rng) << 32;
			break;
		case ORACLE_KIND_F64:
			v = oracle_value_f64(rng);
			break;
		case ORACLE_KIND_SAME:
			v = same * UINT64_C(0x0101010101010101);
			break;
		}
		memcpy(buf + at, &v, 8);
	}
}

void oracle_pool_fill(uint64_t seed, uint8_t *pool)
{
	struct oracle_rng rng = {seed ^ UINT64_C(0x706f6f6c)};

	for (unsigned r = 0; r < ORACLE_POOL_REGIONS; r++) {
		uint8_t *region = pool + r * ORACLE_POOL_REGION_BYTES;

		if (r == ORACLE_KIND_SAME) {
			for (unsigned at = 0; at < ORACLE_POOL_REGION_BYTES; at += 2048) {
				oracle_value_fill(&rng, ORACLE_KIND_SAME, region + at, 2048);
			}
		} else {
			oracle_value_fill(&rng, (enum oracle_kind)r, region,
					  ORACLE_POOL_REGION_BYTES);
		}
	}
}
