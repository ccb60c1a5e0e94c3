// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include "acl.h"
#include "lib/bits.h"
#include "test/test.h"
#include "vswitchd/client.h"
#include "json/json.h"

/* Text of --net, and the JSON it gives; or a part of the error. */
static const struct {
	const char *text;
	const char *json;
	const char *error;
} texts[] = {
	{"default", "{\"switch\":\"default\"}", NULL},
	{"lan,vlan=10", "{\"switch\":\"lan\",\"vlan\":10}", NULL},
	{"a,,b,weight=3", "{\"switch\":\"a,b\",\"weight\":3}", NULL},
	{"lan,trunk=10+20-30,native=5", "{\"switch\":\"lan\",\"trunk\":\"10+20-30\",\"native\":5}",
	 NULL},
	{"lan,max=100M", "{\"switch\":\"lan\",\"max\":100000000}", NULL},
	{"lan,spoofing,dhcp-guard=off",
	 "{\"switch\":\"lan\",\"spoofing\":true,\"dhcp-guard\":false}", NULL},
	{"lan,mac=02:00:00:00:00:01", "{\"switch\":\"lan\",\"mac\":\"02:00:00:00:00:01\"}", NULL},
	{"lan,acl=deny in tcp,acl=allow both",
	 "{\"switch\":\"lan\",\"acl\":[\"deny in tcp\",\"allow both\"]}", NULL},
	{"lan,acl=none", "{\"switch\":\"lan\",\"acl\":[]}", NULL},
	{"lan,private=isolated,primary=5,secondary=6",
	 "{\"switch\":\"lan\",\"private\":\"isolated\",\"primary\":5,\"secondary\":6}", NULL},
	{"lan,link=down,static=02:00:00:00:00:01@10+02:00:00:00:00:02",
	 "{\"switch\":\"lan\",\"link\":\"down\",\"static\":\"02:00:00:00:00:01@10+02:00:00:00:"
	 "00:02\"}",
	 NULL},
	{"lan,static=none", "{\"switch\":\"lan\",\"static\":\"none\"}", NULL},
	{"lan,static=", NULL, "expected addresses"},
	{"lan,static=02:00:00:00:00:01@", NULL, "expected addresses"},
	{"lan,static=02:00:00:00:00:01@0", NULL, "expected addresses"},
	{"lan,static=02:00:00:00:00:01@10x", NULL, "expected addresses"},
	{"lan,static=02:00:00:00:00:01+none", NULL, "expected addresses"},
	{"lan,static=02:00:00:00:00:0", NULL, "expected addresses"},
	{"lan,static=ff:ff:ff:ff:ff:ff", NULL, "expected addresses"},
	{"lan,link=sideways", NULL, "expected up or down"},
	{"", NULL, "no switch's name"},
	{",vlan=1", NULL, "no switch's name"},
	{"lan,vlna=10", NULL, "did you mean 'vlan'?"},
	{"lan,something=10", NULL, "expected mac="},
	{"lan,vlan", NULL, "vlan needs a value"},
	{"lan,vlan=4095", NULL, "vlan=4095: expected a VLAN from 1 to 4094"},
	{"lan,vlan=99999999999999999999", NULL, "expected a VLAN"},
	{"lan,vlan=-1", NULL, "expected a VLAN"},
	{"lan,vlan=1,vlan=2", NULL, "vlan is given twice"},
	{"lan,vlan=1,trunk=2", NULL, "only one of vlan="},
	{"lan,native=1", NULL, "native= is for a trunk"},
	{"lan,trunk=10-5", NULL, "expected VLANs"},
	{"lan,trunk=", NULL, "expected VLANs"},
	{"lan,trunk=1+", NULL, "expected VLANs"},
	{"lan,trunk=4094-4095", NULL, "expected VLANs"},
	{"lan,secondary=6", NULL, "expected private= beside"},
	{"lan,private=isolated,primary=5", NULL, "another secondary=VLAN"},
	{"lan,private=promiscuous,primary=5,secondary=6", NULL, "no secondary="},
	{"lan,private=isolatd,primary=5,secondary=6", NULL,
	 "expected isolated, community or promiscuous"},
	{"lan,mac=01:00:00:00:00:01", NULL, "expected an address of a single machine"},
	{"lan,mac=00:00:00:00:00:00", NULL, "expected an address of a single machine"},
	{"lan,mac=02:00:00:00:00", NULL, "expected an address of a single machine"},
	{"lan,max=1T", NULL, "expected bits per second"},
	{"lan,max=99999G", NULL, "expected bits per second"},
	{"lan,weight=0", NULL, "expected 1 to 100"},
	{"lan,mtu=100", NULL, "expected 576 to 9216"},
	{"lan,spoofing=maybe", NULL, "expected on or off"},
	{"lan,acl=deny sideways", NULL, "at 'sideways'"},
	{"lan,mirror=from", NULL, "expected in, out, both, to or none"},
	{"l\xff", NULL, "not UTF-8"},
	{"lan,mirror=\xc3", NULL, "not UTF-8"},
};

static void test_texts(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char error[700] = "";
		json_t *o = vswitch_client_parse(texts[i].text, error, sizeof(error));
		char *json = o == NULL ? NULL : json_line(o);

		if ((json == NULL) != (texts[i].json == NULL) ||
		    (json != NULL && strcmp(json, texts[i].json) != 0) ||
		    (json == NULL && strstr(error, texts[i].error) == NULL)) {
			test_fail(t, __FILE__, __LINE__, "'%s': got %s %s", texts[i].text,
				  json == NULL ? "error" : json, error);
		}
		free(json);
		json_decref(o);
	}
}

static void test_long_texts(struct test *t)
{
	char text[3000], error[700];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	EXPECT(t, vswitch_client_parse(text, error, sizeof(error)) == NULL);
	memcpy(text, "lan,acl=", 8);
	EXPECT(t, vswitch_client_parse(text, error, sizeof(error)) == NULL);
	EXPECT(t, strstr(error, "too long") != NULL);
}

static const struct {
	const char *text;
	bool ok;
} rules[] = {
	{"allow in", true},
	{"deny both arp", true},
	{"meter out ip4 tcp local-port 1-65535", true},
	{"deny in remote 10.0.0.0/8", true},
	{"deny in remote fd00::/8 local fd00::1 udp remote-port 53", true},
	{"deny in remote 02-00-00-00-00-01", true},
	{"deny in ethertype 0x88cc weight 7", true},
	{"deny in protocol 47", true},
	{"", false},
	{"deny", false},
	{"drop in", false},
	{"deny in tcp udpx", false},
	{"deny in remote", false},
	{"deny in remote 10.0.0.0/33", false},
	{"deny in remote 10.0.0.300", false},
	{"deny in remote 10.0.0.1 local fd00::1", false},
	{"deny in local-port 0", false},
	{"deny in local-port 5-4", false},
	{"deny in local-port 65536", false},
	{"deny in ethertype 5", false},
	{"deny in protocol 0", false},
	{"deny in weight -1", false},
};

static void test_rules(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct vswitch_acl a;
		char error[900];

		if (acl_parse(rules[i].text, &a, error, sizeof(error)) != rules[i].ok) {
			test_fail(t, __FILE__, __LINE__, "'%s': want %d", rules[i].text,
				  rules[i].ok);
		}
	}
}

static void test_rule_meaning(struct test *t)
{
	struct vswitch_acl a;
	char error[900];

	EXPECT(t, acl_parse("deny in tcp remote 10.1.0.0/16 local-port 22-23 weight 9", &a, error,
			    sizeof(error)));
	EXPECT(t, a.action == VSWITCH_ACL_DENY && a.in && !a.out);
	EXPECT_EQ(t, a.protocol, 6);
	EXPECT_EQ(t, a.family, 4);
	EXPECT_EQ(t, a.remote_prefix, 16);
	EXPECT_EQ(t, a.local_prefix, 0);
	EXPECT_EQ(t, a.remote_ip[1], 1);
	EXPECT_EQ(t, a.local_port_first, 22);
	EXPECT_EQ(t, a.local_port_last, 23);
	EXPECT_EQ(t, a.weight, 9);
}

static void test_meaning(struct test *t)
{
	char error[700];
	json_t *o = vswitch_client_parse(
		"lan,mac=02:00:00:00:00:07,trunk=10+4094,native=3,mirror=both,max=8K,weight=5,"
		"broadcast=9,spoofing,acl=deny in,mtu=9000",
		error, sizeof(error));
	struct vswitch_port_config c = {.name = "kept", .role = VSWITCH_VM, .takes = NET_TAKES_ALL};
	struct vswitch_acl *acls = NULL;

	EXPECT(t, o != NULL && options_config(o, &c, &acls, error, sizeof(error)));
	EXPECT(t, strcmp(c.name, "kept") == 0);
	EXPECT_EQ(t, c.takes, NET_TAKES_ALL);
	EXPECT_EQ(t, c.mac[5], 7);
	EXPECT_EQ(t, c.vlan.mode, VSWITCH_VLAN_TRUNK);
	EXPECT_EQ(t, c.vlan.vid, 3);
	EXPECT_EQ(t, c.vlan.trunk[10 / 8], 1u << 10 % 8);
	EXPECT_EQ(t, c.vlan.trunk[4094 / 8], 1u << 4094 % 8);
	EXPECT_EQ(t, c.mirror, VSWITCH_MIRROR_IN | VSWITCH_MIRROR_OUT);
	EXPECT_EQ(t, c.max_bps, 8000);
	EXPECT_EQ(t, c.weight, 5);
	EXPECT_EQ(t, c.broadcast_pps, 9);
	EXPECT_EQ(t, c.mtu, 9000);
	EXPECT(t, c.spoofing && !c.dhcp_guard);
	EXPECT_EQ(t, c.acl_count, 1);
	free(acls);
	json_decref(o);
}

/* A hostile client's members: of the wrong kind or out of range. */
static void test_foreign_json(struct test *t)
{
	static const char *const bad[] = {
		"{\"vlan\":\"10\"}",
		"{\"vlan\":-1}",
		"{\"vlan\":4095}",
		"{\"vlan\":1e3}",
		"{\"trunk\":10}",
		"{\"trunk\":\"\"}",
		"{\"trunk\":\"1-\"}",
		"{\"spoofing\":1}",
		"{\"mac\":5}",
		"{\"mac\":null}",
		"{\"acl\":\"deny in\"}",
		"{\"acl\":[1]}",
		"{\"acl\":[\"deny\"]}",
		"{\"mirror\":\"all\"}",
		"{\"max\":1000000000001}",
		"{\"weight\":101}",
		"{\"mtu\":65536}",
		"{\"private\":{}}",
		"{\"acl\":[null,null]}",
		"{\"weight\":9223372036854775807}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *o = json_loads(bad[i], 0, NULL);
		struct vswitch_port_config c = {.mtu = 1234};
		struct vswitch_acl *acls = NULL;
		char error[900];

		if (o == NULL || options_config(o, &c, &acls, error, sizeof(error)) ||
		    c.mtu != 1234) {
			test_fail(t, __FILE__, __LINE__, "%s: not refused", bad[i]);
		}
		json_decref(o);
	}
}

static void test_merge(struct test *t)
{
	json_t *o = json_loads("{\"switch\":\"a\",\"trunk\":\"1-5\",\"native\":2,\"max\":5}", 0,
			       NULL),
	       *changes = json_loads("{\"vlan\":7,\"max\":6,\"switch\":\"b\"}", 0, NULL);

	options_merge(o, changes);
	char *merged = json_line(o);

	EXPECT(t, strcmp(merged, "{\"switch\":\"a\",\"max\":6,\"vlan\":7}") == 0);
	free(merged);
	json_decref(o);
	json_decref(changes);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_texts),	 TEST(test_long_texts), TEST(test_rules),
		TEST(test_rule_meaning), TEST(test_meaning),	TEST(test_foreign_json),
		TEST(test_merge),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
