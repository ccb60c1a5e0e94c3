/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli; reflected 0x82f63b78, start and end inverted), as iSCSI, ext4 and VHDX use it. Pieces may be chained: begin with 0 and
 * hand the result of one piece to the next.
 */
#ifndef LIB_CRC32C_H
#define LIB_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Uses the processor's instruction when there is one and it is worth asking. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/*
 * For those who compute many: asking the processor is slow under a hypervisor, so ask once and remember the answer.
 */
bool crc32c_has_instruction(void);
uint32_t crc32c_with(bool instruction, uint32_t crc, const void *data, size_t bytes);

#endif
