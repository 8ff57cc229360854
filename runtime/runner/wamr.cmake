# How WAMR is built for the runner. cmake reads this as its toolchain file (.cargo/config.toml),
# and a normal variable set here wins over the -D cache entry that wamrx-sys passes. A change needs
# the new hash in .cargo/config.toml; the build says which.

# The hardware check of the native stack touches all 8 MiB of it to lay its guard pages.
set(WAMR_DISABLE_STACK_HW_BOUND_CHECK 1)

# Otherwise cmake would try the instruction on the machine that builds, not on the one that runs.
set(WAMR_DISABLE_WRITE_GS_BASE 1)

# The Cargo feature `simd` wants SIMDe, which WAMR would clone from GitHub in the middle of the
# build. Debian's libsimde-dev has it; SIMDE_INCLUDE_DIR names it elsewhere.
set(simde_dir $ENV{SIMDE_INCLUDE_DIR})
if(NOT simde_dir)
  set(simde_dir /usr/include)
endif()
if(NOT EXISTS ${simde_dir}/simde/wasm/simd128.h)
  message(FATAL_ERROR "${simde_dir}/simde/wasm/simd128.h not found: install libsimde-dev, "
    "or set SIMDE_INCLUDE_DIR to the directory that holds simde/")
endif()
set(FETCHCONTENT_SOURCE_DIR_SIMDE ${simde_dir} CACHE PATH "" FORCE)

# WAMR prints its messages to standard output, which is the guest's. Only these two files may see
# the macro: in the WASI library it would turn the guest's own output into messages.
set_source_files_properties(
  ${CMAKE_CURRENT_SOURCE_DIR}/core/shared/platform/linux/platform_init.c
  ${CMAKE_CURRENT_SOURCE_DIR}/core/shared/utils/bh_log.c
  PROPERTIES COMPILE_DEFINITIONS BH_VPRINTF=wamr_runner_log)

# The loop that runs every guest: fast before small, and no call for each operand of 128 bits.
set_source_files_properties(
  ${CMAKE_CURRENT_SOURCE_DIR}/core/iwasm/interpreter/wasm_interp_fast.c
  PROPERTIES COMPILE_OPTIONS "-O2;-include;${CMAKE_CURRENT_LIST_DIR}/copy.h")

# The operand stack, which costs what the guest uses of it.
set_source_files_properties(
  ${CMAKE_CURRENT_SOURCE_DIR}/core/iwasm/common/wasm_exec_env.c
  PROPERTIES COMPILE_OPTIONS "-include;${CMAKE_CURRENT_LIST_DIR}/stack.h")

# Linear memory, which grows without a copy.
set_source_files_properties(
  ${CMAKE_CURRENT_SOURCE_DIR}/core/shared/platform/common/posix/posix_memmap.c
  PROPERTIES COMPILE_OPTIONS "-include;${CMAKE_CURRENT_LIST_DIR}/pages.h")

# What else the runner has to know of instances.
set_source_files_properties(
  ${CMAKE_CURRENT_SOURCE_DIR}/core/iwasm/interpreter/wasm_runtime.c
  PROPERTIES COMPILE_OPTIONS "-include;${CMAKE_CURRENT_LIST_DIR}/frames.h")
