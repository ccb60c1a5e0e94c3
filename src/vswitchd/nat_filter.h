/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VSWITCHD_NAT_FILTER_H
#define VSWITCHD_NAT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nat_network.h"

/*
 * May this Ethernet frame of a guest go to libslirp? Not what would reach the host's own loopback addresses: libslirp connects to
 * whatever a guest names, also 127.0.0.1 and 0.0.0.0, and hands every port of the name server's address on to the host's, which often is a
 * loopback address.
 */
bool nat_filter_allows(const struct nat_network *n, const uint8_t *frame, size_t bytes);

#endif
