//! What AVP demands: `schema/avp.requirements.toml`, and its versions.

use std::sync::LazyLock;

use crate::catalogue::{Catalogue, Version};

/// The first published version.
pub const V0_2: Version = Version::of(&[0, 2]);
/// Adds the error object, limits and retries.
pub const V0_3: Version = Version::of(&[0, 3]);
/// Adds `shareRefreshTokens` and bans per server.
pub const V0_4: Version = Version::of(&[0, 4]);

/// The requirements of AVP.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/schema/avp.requirements.toml"
        ));
        Catalogue::parse(text).expect("a test parses the embedded catalogue")
    });
    &CATALOGUE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Subject;

    #[test]
    fn the_embedded_catalogue_is_well_formed() {
        let catalogue = catalogue();
        assert_eq!(
            catalogue.iter().count(),
            catalogue.source.matches("{ id = ").count()
        );
        assert_eq!(catalogue.versions, [V0_2, V0_3, V0_4]);
        for section in &catalogue.sections {
            assert!(
                catalogue
                    .iter()
                    .any(|requirement| requirement.section() == section.name)
            );
        }
    }

    #[test]
    fn a_server_is_held_to_what_its_version_knows() {
        let in_force = |spec| catalogue().binding(spec).collect::<Vec<_>>();
        assert!(in_force(V0_2).iter().all(|r| r.since == V0_2));
        assert!(!in_force(V0_3).iter().any(|r| r.section() == "5.1"));
        assert!(in_force(V0_4).iter().any(|r| r.id == "AVP-5.1-01"));
        assert!(in_force(V0_4).iter().all(|r| r.subject == Subject::Server));
    }
}
