# `make` builds build/dae. CUDA=ON compiles the CUDA kernels, CUDA=OFF leaves them out. By default `make test`
# compiles them where nvcc is found, `make` and `make run` only where a GPU answers too. A build folder keeps
# its choice.
BUILD ?= build
PREFIX ?= /usr/local
# With these, ccache also finds what another checkout has compiled.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
.PHONY: all configure run test bench install format

all: configure
	ninja -C $(BUILD) dae

configure:
	@./setup.sh
	@cmake -G Ninja -B $(BUILD) -DCMAKE_BUILD_TYPE=Release $(if $(CUDA),-DDAE_CUDA=$(CUDA)) $(CMAKE_FLAGS)

# Runs the main job. data=FOLDER (or DAE_DATA): CIFAR-10's binary batches; otherwise built-in images. force=1:
# runs it again from the beginning.
run: all
	@$(BUILD)/dae reproduce main $(if $(data),'data=$(data)') $(if $(force),--force)

test: CUDA ?= ON
test: configure
	ninja -C $(BUILD) tests
	cd $(BUILD) && ctest -j2 --output-on-failure

bench: all
	$(BUILD)/dae bench

# Installs the program and the engine as a library, for find_package(dae).
install: all
	cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@./setup.sh format
	git ls-files '*.h' '*.cuh' '*.cpp' '*.cu' | xargs clang-format -i
