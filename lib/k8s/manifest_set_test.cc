#include "lib/k8s/manifest_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/k8s/recording_listener.h"

namespace ambit::k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Pod PodAt(const std::string& name, const std::string& ip) {
  Pod pod;
  pod.namespace_name = "shop";
  pod.name = name;
  pod.ips = {*net::IpAddress::Parse(ip)};
  return pod;
}

Service ServiceAt(const std::string& name) {
  Service service;
  service.namespace_name = "shop";
  service.name = name;
  return service;
}

TEST(ManifestSet, NewObjectsComeInTheOrderNamespacePodService) {
  ManifestSet set;
  RecordingListener listener;
  set.Put("a", {ServiceAt("s"), PodAt("p", "10.0.0.1"), Namespace{"shop", {}, {}}});
  EXPECT_THAT(set.Announce(listener), IsEmpty());
  EXPECT_THAT(listener.Take(),
              ElementsAre("+namespace shop", "+pod shop/p 10.0.0.1", "+service shop/s"));
  set.Remove("a");
  set.Announce(listener);
  EXPECT_THAT(listener.Take(),
              ElementsAre("-service shop/s", "-pod shop/p 10.0.0.1", "-namespace shop"));
}

TEST(ManifestSet, AnEqualObjectIsNotAnnouncedAgain) {
  ManifestSet set;
  RecordingListener listener;
  set.Put("a", {PodAt("p", "10.0.0.1"), PodAt("q", "10.0.0.2")});
  set.Announce(listener);
  listener.Take();
  set.Put("a", {PodAt("p", "10.0.0.1"), PodAt("q", "10.0.0.3")});
  set.Announce(listener);
  EXPECT_THAT(listener.Take(), ElementsAre("+pod shop/q 10.0.0.3"));
  set.Announce(listener);
  EXPECT_THAT(listener.Take(), IsEmpty());
}

TEST(ManifestSet, AnObjectThatMovesToAnotherFileStays) {
  ManifestSet set;
  RecordingListener listener;
  set.Put("a", {PodAt("p", "10.0.0.1")});
  set.Announce(listener);
  listener.Take();
  set.Remove("a");
  set.Put("b", {PodAt("p", "10.0.0.1")});
  set.Announce(listener);
  EXPECT_THAT(listener.Take(), IsEmpty());
}

TEST(ManifestSet, OfTwoDefinitionsTheFirstFileWinsAndTheOtherIsReportedOnce) {
  ManifestSet set;
  RecordingListener listener;
  set.Put("b", {PodAt("p", "10.0.0.2")});
  set.Announce(listener);
  set.Put("a", {PodAt("p", "10.0.0.1")});
  EXPECT_THAT(set.Announce(listener),
              ElementsAre("Pod shop/p in b is ignored: an earlier file or document defines it "
                          "already"));
  EXPECT_THAT(set.Announce(listener), IsEmpty());
  set.Remove("a");
  set.Announce(listener);
  EXPECT_THAT(listener.Take(),
              ElementsAre("+pod shop/p 10.0.0.2", "+pod shop/p 10.0.0.1", "+pod shop/p 10.0.0.2"));
}

}  // namespace
}  // namespace ambit::k8s
