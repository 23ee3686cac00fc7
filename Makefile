# The front door. `make` builds build/dae.
BUILD ?= build
.PHONY: all configure run test bench format

all: configure
	ninja -C $(BUILD) dae

configure:
	@./setup.sh
	@cmake -G Ninja -B $(BUILD) -DCMAKE_BUILD_TYPE=Release $(CMAKE_FLAGS)

# The main job. data=FOLDER (or DAE_DATA): CIFAR-10's binary batches; without, built-in images. force=1: anew.
run: all
	@$(BUILD)/dae reproduce main $(if $(data),'data=$(data)') $(if $(force),--force)

test: configure
	ninja -C $(BUILD) tests
	cd $(BUILD) && ctest --output-on-failure

bench: all
	$(BUILD)/dae bench

format:
	@./setup.sh format
	git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format -i
