# How every target of the project is declared: one library per folder, its headers in a verified
# header set, one test program per folder from the *_test.cc files beside the code.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Debian's libstdc++ is the only standard library in use; -fuse-ld picks the lld of the compiler.
add_link_options(-fuse-ld=lld)

if(AMBIT_SANITIZE)
  add_compile_options(-fsanitize=${AMBIT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${AMBIT_SANITIZE})
endif()
if(AMBIT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

add_library(ambit_options INTERFACE)
target_compile_options(ambit_options INTERFACE -Wall -Wextra -Wshadow -Wimplicit-fallthrough -Werror)
target_include_directories(ambit_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(ambit_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_NO_TYPEID AMBIT_VERSION="${PROJECT_VERSION}")

# ambit_library(<name> HEADERS <h...> SOURCES <cc...> [DEPS <public...>] [PRIVATE_DEPS <...>])
# DEPS are what the headers need, PRIVATE_DEPS what only the .cc files need.
function(ambit_library name)
  cmake_parse_arguments(A "" "" "HEADERS;SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${A_HEADERS})
  target_link_libraries(${name} PUBLIC ambit_options ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS})
endfunction()

# ambit_executable(<name> SOURCES <cc...> DEPS <...>): lands in out/<preset>/bin/.
function(ambit_executable name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ambit_options ${A_DEPS})
endfunction()

# ambit_test(<name> SOURCES <x_test.cc...> DEPS <...>): one GoogleTest program, one ctest per case.
# Tests run in the source root so that golden files are found by relative path.
function(ambit_test name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ambit_options ${A_DEPS} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    TEST_PREFIX "${name}/" PROPERTIES TIMEOUT 120)
endfunction()

# ambit_fuzzer(<name> SOURCES <x_fuzz.cc> DEPS <...>): built by the fuzz preset only.
function(ambit_fuzzer name)
  if(NOT AMBIT_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ambit_options ${A_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

find_package(GTest REQUIRED)
include(GoogleTest)
