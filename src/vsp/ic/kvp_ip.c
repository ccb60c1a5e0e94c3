// SPDX-License-Identifier: Apache-2.0
/* Addresses of an adapter, as texts in UTF-16. */
#include <string.h>

#include "lib/utf16.h"
#include "service.h"

static bool put_text(const char *text, uint8_t *ret, size_t capacity)
{
	size_t bytes;

	return utf16_encode(text, UTF16_LE, ret, capacity - 2, &bytes) && bytes <= capacity - 2;
}

bool ic_kvp_ip_build(const char *adapter, const struct vsp_ic_ip *ip, struct ic_kvp_ip *ret)
{
	*ret = (struct ic_kvp_ip){
		.family = (uint8_t)((ip->ipv4 ? IC_KVP_FAMILY_IPV4 : 0) |
				    (ip->ipv6 ? IC_KVP_FAMILY_IPV6 : 0)),
		.dhcp = ip->dhcp,
	};
	return put_text(adapter, ret->adapter, sizeof(ret->adapter)) &&
	       put_text(ip->addresses, ret->addresses, sizeof(ret->addresses)) &&
	       put_text(ip->subnets, ret->subnets, sizeof(ret->subnets)) &&
	       put_text(ip->gateways, ret->gateways, sizeof(ret->gateways)) &&
	       put_text(ip->dns, ret->dns, sizeof(ret->dns));
}

static bool get_text(const uint8_t *text, size_t bytes, char *ret, size_t size)
{
	return utf16_decode_padded(text, bytes, UTF16_LE, ret, size);
}

bool ic_kvp_ip_parse(const struct ic_kvp_ip *body, struct vsp_ic_ip *ret)
{
	struct vsp_ic_ip ip = {
		.ipv4 = (body->family & IC_KVP_FAMILY_IPV4) != 0,
		.ipv6 = (body->family & IC_KVP_FAMILY_IPV6) != 0,
		.dhcp = body->dhcp != 0,
	};

	if (!get_text(body->addresses, sizeof(body->addresses), ip.addresses,
		      sizeof(ip.addresses)) ||
	    !get_text(body->subnets, sizeof(body->subnets), ip.subnets, sizeof(ip.subnets)) ||
	    !get_text(body->gateways, sizeof(body->gateways), ip.gateways, sizeof(ip.gateways)) ||
	    !get_text(body->dns, sizeof(body->dns), ip.dns, sizeof(ip.dns))) {
		return false;
	}
	*ret = ip;
	return true;
}
