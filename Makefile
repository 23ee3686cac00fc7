# The front door. `make` builds build/dae.
BUILD ?= build
.PHONY: all configure test bench format

all: configure
	ninja -C $(BUILD) dae

configure:
	@./setup.sh
	@cmake -G Ninja -B $(BUILD) -DCMAKE_BUILD_TYPE=Release $(CMAKE_FLAGS)

test: configure
	ninja -C $(BUILD) tests
	cd $(BUILD) && ctest --output-on-failure

bench: all
	$(BUILD)/dae bench

format:
	@./setup.sh format
	git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format -i
