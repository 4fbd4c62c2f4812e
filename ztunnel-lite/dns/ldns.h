#pragma once

// ldns makes macros of bool, true and false unless this one came first.
// clang-format off
#include <stdbool.h>
#include <ldns/ldns.h>
// clang-format on
