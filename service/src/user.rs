//! Giving up root's rights once the ports and devices are open.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgroups, initgroups, setgid, setuid};

/// Why the process did not become another user's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UserError {
    /// There is no user of this name.
    #[error("no user {0:?} on this system")]
    NoUser(String),
    /// There is no group of this name.
    #[error("no group {0:?} on this system")]
    NoGroup(String),
    /// The system refused.
    #[error("cannot become user {user}: {call}: {error}{}", hint(*.error))]
    Refused {
        /// Whose process it was to be.
        user: String,
        /// What was refused.
        call: &'static str,
        /// The system's reason.
        error: Errno,
    },
    /// Root's rights could be taken back, so they were not given up.
    #[error("root's rights could be taken back after becoming user {0}")]
    Kept(String),
}

fn hint(error: Errno) -> &'static str {
    match error {
        Errno::EPERM => " (only root can change the user)",
        _ => "",
    }
}

/// Makes the process one of `user`, with its groups; with `group` given, that is its main group.
/// A name may be a number. Nothing happens when the process is that user's already and no group is given.
///
/// # Errors
/// When there is no such user or group, or the system refuses; the process must not go on with its rights then.
pub fn become_user(user: &str, group: Option<&str>) -> Result<(), UserError> {
    let found = find_user(user)?;
    let gid = group.map_or(Ok(found.gid), find_group)?;
    if found.uid == geteuid() && group.is_none() {
        return Ok(());
    }
    let refused = |call| {
        move |error| UserError::Refused {
            user: user.to_owned(),
            call,
            error,
        }
    };
    let name = CString::new(found.name).map_err(|_| UserError::NoUser(user.to_owned()))?;
    initgroups(&name, gid).map_err(refused("initgroups"))?;
    setgid(gid).map_err(refused("setgid"))?;
    setuid(found.uid).map_err(refused("setuid"))?;
    let is_root_again = !found.uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
    let in_roots_group = getgroups().is_ok_and(|groups| groups.contains(&Gid::from_raw(0)));
    if is_root_again || (in_roots_group && !found.uid.is_root() && gid != Gid::from_raw(0)) {
        return Err(UserError::Kept(user.to_owned()));
    }
    Ok(())
}

fn find_user(name: &str) -> Result<User, UserError> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let found = found.ok().flatten();
    found.ok_or_else(|| UserError::NoUser(name.to_owned()))
}

fn find_group(name: &str) -> Result<Gid, UserError> {
    let found = match name.parse() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)),
        Err(_) => Group::from_name(name),
    };
    let found = found.ok().flatten();
    found
        .map(|group| group.gid)
        .ok_or_else(|| UserError::NoGroup(name.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn unknown_names_are_told_apart() {
        let error = become_user("no-such-user", None).unwrap_err();
        assert_eq!(error.to_string(), "no user \"no-such-user\" on this system");
        let me = geteuid().to_string();
        let error = become_user(&me, Some("no-such-group")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no group \"no-such-group\" on this system"
        );
    }

    #[test]
    fn whoever_one_is_already_one_may_stay() {
        assert_eq!(become_user(&geteuid().to_string(), None), Ok(()));
    }
}
