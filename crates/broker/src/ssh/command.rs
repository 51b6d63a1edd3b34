//! Which commands pass without the right to run commands: the old scp, in its exact form.

use super::sftp::Rules;

/// Whether `command` is what an `scp -O` runs at the far end (`scp -t path` to write, `scp -f path` to read) and nothing a
/// shell would make more of.
pub(super) fn copies(command: &[u8], rules: Rules) -> bool {
    let Ok(command) = std::str::from_utf8(command) else { return false };
    let mut words = command.split(' ');
    if words.next() != Some("scp") {
        return false;
    }
    let (mut way, mut path) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "-t" | "-f" if way.is_none() => way = Some(word),
            "-r" | "-p" | "-d" | "-v" | "-q" => {}
            "--" => {
                path = words.next();
                break;
            }
            word if word.starts_with('-') => return false,
            word => {
                path = Some(word);
                break;
            }
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    let named = path.is_some_and(|path| !path.is_empty() && path.chars().all(plain));
    named
        && words.next().is_none()
        && matches!(
            (way, rules),
            (Some("-t"), Rules { upload: true, .. }) | (Some("-f"), Rules { download: true, .. })
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scp_passes_in_its_exact_form_only() {
        let up = Rules { download: false, upload: true };
        let down = Rules { download: true, upload: false };
        for (command, as_up, as_down) in [
            ("scp -t /srv/in", true, false),
            ("scp -r -p -t -- /srv/in", true, false),
            ("scp -v -f /var/log/x.log", false, true),
            ("scp -f .", false, true),
            ("scp -t -f /x", false, false),
            ("scp -t", false, false),
            ("scp -t x; bash", false, false),
            ("scp -t $(id)", false, false),
            ("scp -t `id`", false, false),
            ("scp -t x\nid", false, false),
            ("scp -t x y", false, false),
            ("scp -t x ", false, false),
            ("scp -S/bin/sh -t x", false, false),
            ("scp -t -oProxyCommand=id x", false, false),
            ("scp -t ~root/x", false, false),
            ("scp -t *", false, false),
            ("scp /etc/passwd -t x", false, false),
            ("/bin/scp -t x", false, false),
            ("bash", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (copies(command.as_bytes(), up), copies(command.as_bytes(), down)),
                (as_up, as_down),
                "{command}"
            );
        }
        assert!(!copies(b"scp -t \xff", up));
    }
}
