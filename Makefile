# SPDX-License-Identifier: Apache-2.0
# A front door only: the build is Meson's, the work is done by the scripts in tools/.
BUILD ?= build

.PHONY: all programs setup demo demo-debian image check check-kvm bench bench-kvm fuzz soak matrix lint install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

programs: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet virid virid-vmwp virid-vswitch virid-vmms

# Installs what is missing (Debian) and configures the build folder.
setup:
	@tools/setup-debian

$(BUILD)/build.ninja: | setup
	@meson setup $(BUILD) >$(BUILD).log 2>&1 && rm -f $(BUILD).log || { cat $(BUILD).log >&2; rm -f $(BUILD).log; exit 1; }

demo: setup programs ## the main job: Debian's own kernel boots as a Hyper-V guest
	@tools/demo $(BUILD)

demo-debian: setup programs ## a whole Debian boots from its VHDX to a login prompt
	@tools/setup-debian image
	@tools/demo-debian $(BUILD)

check: setup all ## all tests; the last line counts them
	@tools/run-checks $(BUILD)

check-kvm: setup all ## the KVM engine: on this host's KVM, or on that of emulated machines; KVM=--quick: four minutes of it
	@tools/setup-debian kvm
	@tools/check-kvm $(KVM) $(BUILD)

matrix: setup programs ## the boot tests alone: every Debian kernel with 1, 2 and 4 processors
	@tests/integration/matrix $(BUILD)

image: setup programs ## a whole Debian from every disk format under three kernels, with heavy load on its disks
	@tools/setup-debian image
	@tests/integration/images $(BUILD)

bench: ## Virid and its peers side by side, an hour; QUICK=--quick: only to see that all parts work
	@tools/setup-debian bench
	@$(MAKE) --no-print-directory programs
	@ninja -C $(BUILD) --quiet bench/disk_bench bench/saved_bench bench/switch_bench bench/send_frames bench/uplink_bench
	@bench/run $(BUILD) $(QUICK)
	@bench/storage $(BUILD) $(QUICK)
	@bench/net $(BUILD) $(QUICK)
	@bench/saved $(BUILD) $(QUICK)
	@bench/vmms $(BUILD) $(QUICK)

bench-kvm: ## Virid beside QEMU on KVM: on this host where its KVM is of use, else in an emulated machine; QUICK=--quick
	@tools/setup-debian kvm
	@$(MAKE) --no-print-directory programs
	@ninja -C $(BUILD) --quiet bench/kvm_guest
	@bench/kvm $(BUILD) $(QUICK)

soak: setup programs ## ten minutes of forks, pipes, signals, files and memory in a guest with 4 processors; a hostile guest and power cuts of disks with new seeds; heavy traffic between guests; guests that are saved a hundred times
	@ninja -C $(BUILD) --quiet tests/guest/guest-hostile tests/fault/power_cut tests/integration/traffic tests/integration/steady tests/integration/libend_at.so tests/integration/disk-data
	@tests/guest/hostile $(BUILD) $$(date +%s) 5000
	@tests/integration/network-load $(BUILD) --full
	@tests/integration/save-restore $(BUILD) cloud 2 100
	@tests/integration/save-restore-net $(BUILD) 30
	@tests/integration/soak $(BUILD)
	@tests/fault/soak $(BUILD)
	@tests/integration/checkpoints $(BUILD) $$(date +%s) 500
	@tests/integration/checkpoint-steps $(BUILD)
	@tests/integration/checkpoint-deep $(BUILD) 60
	@tests/integration/vmms-saves $(BUILD) 100

fuzz: ## every fuzz target for FUZZ_SECONDS (default 60)
	@tools/setup-debian fuzz
	@tools/fuzz

lint: ## clang-format, clang-tidy, cppcheck
	@tools/setup-debian lint
	@tools/lint $(BUILD)

install: all
	@meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD)
