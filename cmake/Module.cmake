# slipway_module(NAME SOURCES … DEPENDS … LIBRARIES … TESTS …): one folder below src/ = one static library `slipway_NAME`.
# DEPENDS are modules; only earlier tiers are allowed (cmake/check_tiers.py holds the tiers and checks the #include lines).
# TESTS are gtest files beside the sources, run by ctest as NAME_test.
function(slipway_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPENDS;LIBRARIES;TESTS;TEST_LIBRARIES" ${ARGN})
  add_library(slipway_${name} STATIC ${M_SOURCES})
  target_include_directories(slipway_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(slipway_${name} PUBLIC slipway_options fmt::fmt ${M_LIBRARIES})
  foreach(dependency IN LISTS M_DEPENDS)
    target_link_libraries(slipway_${name} PUBLIC slipway_${dependency})
  endforeach()
  if(M_TESTS AND SLIPWAY_TESTS)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE slipway_${name} GTest::gmock GTest::gtest_main ${M_TEST_LIBRARIES})
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
      target_compile_options(${name}_test PRIVATE -O0 -U_FORTIFY_SOURCE)  # the module is optimized, its tests need not be
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600 LABELS unit)
  endif()
endfunction()
