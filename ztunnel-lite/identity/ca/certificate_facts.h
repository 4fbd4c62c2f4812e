#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace ambit::identity {

// One certificate as the admin page shows it.
struct CertificateFacts {
  std::string pem;
  std::string serial;  // decimal
  std::chrono::system_clock::time_point not_before, not_after;
};

// Every certificate in the text, in order; what does not parse ends the list.
std::vector<CertificateFacts> DescribeCertificates(const std::string& pem);

}  // namespace ambit::identity
