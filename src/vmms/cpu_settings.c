// SPDX-License-Identifier: Apache-2.0
#include "cpu_settings.h"

#include <stdio.h>
#include <string.h>

#include "launch/cpu.h"
#include "lib/check.h"

bool cpu_list_is_valid(const char *text)
{
	struct hostcpu_set s;

	return strchr(text, '\n') == NULL && hostcpu_set_parse(text, strlen(text), &s);
}

static unsigned number_of(const json_t *processors, const char *name, unsigned usual)
{
	const json_t *value = json_object_get(processors, name);

	return json_is_integer(value) ? (unsigned)json_integer_value(value) : usual;
}

static struct hostcpu_set list_of(const json_t *processors, const char *name)
{
	const char *text = json_string_value(json_object_get(processors, name));
	struct hostcpu_set s = {{0}};

	CHECK(text == NULL || hostcpu_set_parse(text, strlen(text), &s));
	return s;
}

void cpu_settings_read(const json_t *config, struct cpu_settings *ret)
{
	const json_t *p = json_object_get(config, "processors");

	*ret = (struct cpu_settings){
		.claim = {.processors = number_of(p, "count", 1),
			  .weight = number_of(p, "weight", HOSTCPU_WEIGHT_DEFAULT),
			  .reserve_percent = number_of(p, "reserve_percent", 0),
			  .limit_percent = number_of(p, "limit_percent", 100),
			  .set = list_of(p, "affinity")},
		.nodes = list_of(p, "numa_nodes"),
	};
}

bool cpu_settings_are_usual(const struct cpu_settings *s)
{
	return s->claim.weight == HOSTCPU_WEIGHT_DEFAULT && s->claim.reserve_percent == 0 &&
	       s->claim.limit_percent == 100;
}

bool cpu_settings_check(const json_t *config, struct schema_error *error)
{
	const char *model =
		json_string_value(json_object_get(json_object_get(config, "processors"), "model"));
	struct cpu_settings s;
	struct launch_error why;

	if (model != NULL && !launch_cpu_valid(model, &why)) {
		snprintf(error->text, sizeof(error->text), "processors.model: %.700s", why.text);
		return false;
	}
	cpu_settings_read(config, &s);
	if (s.claim.reserve_percent > s.claim.limit_percent) {
		snprintf(error->text, sizeof(error->text),
			 "processors.reserve_percent: found %u; expected at most limit_percent, "
			 "which is %u",
			 s.claim.reserve_percent, s.claim.limit_percent);
		return false;
	}
	return true;
}
