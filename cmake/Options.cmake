# slipway_options: flags that every target of ours is compiled with.
add_library(slipway_options INTERFACE)
target_compile_options(slipway_options INTERFACE
  -Wall -Wextra -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wnull-dereference
  -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's stable_sort uses what C++17 deprecated.
  target_compile_options(slipway_options INTERFACE -Wno-gnu-statement-expression -Wno-missing-field-initializers
    -Wno-deprecated-declarations)
else()
  # g++ 12 takes the unused half of std::expected in TRY for uninitialized when it inlines (-O2).
  target_compile_options(slipway_options INTERFACE -Wshadow=local -Wno-missing-field-initializers -Wno-null-dereference
    -Wno-maybe-uninitialized)
endif()
if(SLIPWAY_WERROR)
  target_compile_options(slipway_options INTERFACE -Werror)
endif()
target_compile_definitions(slipway_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64 SLIPWAY_VERSION="${PROJECT_VERSION}")
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_definitions(slipway_options INTERFACE _FORTIFY_SOURCE=2)
endif()
if(SLIPWAY_SANITIZE)
  target_compile_options(slipway_options INTERFACE -fsanitize=${SLIPWAY_SANITIZE} -fno-sanitize-recover=all -g)
  target_link_options(slipway_options INTERFACE -fsanitize=${SLIPWAY_SANITIZE})
endif()
find_program(SLIPWAY_MOLD mold)
if(SLIPWAY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
find_program(SLIPWAY_CCACHE ccache)
if(SLIPWAY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths are hashed relative to the source, so that a fresh clone finds what another one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=true ${SLIPWAY_CCACHE})
endif()
