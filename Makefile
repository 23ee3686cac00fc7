# The front door. `make` builds build/dae. CUDA=ON or OFF: with its kernels or without; by default `make test` compiles
# them where nvcc is, `make` and `make run` only where a GPU answers too, and what was once chosen for a folder stays.
BUILD ?= build
PREFIX ?= /usr/local
# The compiler's cache finds again what another checkout compiled.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
.PHONY: all configure run test bench install format

all: configure
	ninja -C $(BUILD) dae

configure:
	@./setup.sh
	@cmake -G Ninja -B $(BUILD) -DCMAKE_BUILD_TYPE=Release $(if $(CUDA),-DDAE_CUDA=$(CUDA)) $(CMAKE_FLAGS)

# The main job. data=FOLDER (or DAE_DATA): CIFAR-10's binary batches; without, built-in images. force=1: anew.
run: all
	@$(BUILD)/dae reproduce main $(if $(data),'data=$(data)') $(if $(force),--force)

test: CUDA ?= ON
test: configure
	ninja -C $(BUILD) tests
	cd $(BUILD) && ctest --output-on-failure

bench: all
	$(BUILD)/dae bench

# The program, and the engine as a library: find_package(dae).
install: all
	cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@./setup.sh format
	git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format -i
