#include "ztunnel-lite/hbone/worker.h"

namespace ambit::hbone {

Worker::Worker()
    : read_(new std::byte[kHeadroomBytes + kScratchBytes]), cipher_(new std::byte[kScratchBytes]) {}

}  // namespace ambit::hbone
