use super::*;

#[test]
fn blocks_lists_and_quotations_are_set_apart() {
    let html = "<h2>개요</h2>\n<p>첫 <b>줄</b><br>둘째 &lt;줄&gt;</p><ol start=\"3\"><li><p>셋</p></li><li>넷<ul><li>속</li></ul></li></ol>\
                밖<blockquote><p>인용</p></blockquote><pre>가\n  나</pre>10<sup>2</sup>㎡<hr>끝";
    let text =
        "개요\n\n첫 줄\n둘째 <줄>\n\n3. 셋\n\n4. 넷\n  - 속\n\n밖\n\n> 인용\n\n가\n  나\n\n10^2㎡\n\n----------\n\n끝";
    assert_eq!(lay_out(html, true, "사진"), text);
}

#[test]
fn tables_of_data_and_of_layout_differ() {
    let data =
        "<table><tbody><tr><th>일시</th><th>장소</th></tr><tr><td><p>4월</p></td><td>회의장</td></tr></tbody></table>";
    assert_eq!(lay_out(data, true, ""), "일시 | 장소\n4월 | 회의장");
    let layout = "<table><tbody><tr><td>왼쪽</td><td><p>하나</p><p>둘</p></td></tr></tbody></table><p>뒤</p>";
    assert_eq!(lay_out(layout, true, ""), "왼쪽\n하나\n\n둘\n\n뒤");
}

#[test]
fn links_are_numbered_once_each() {
    let html = "<a href=\"https://a.kr/?x&amp;y\">신청</a>, <a href=\"https://b.kr/\">https://b.kr/</a>, \
                <a title=\"&gt;>\" href=\"https://a.kr/?x&amp;y\">다시</a> <img alt=\"\" src=\"https://a.kr/p.png\">";
    let text = "신청 [1], https://b.kr/, 다시 [1] [사진] [2]\n\n[1] https://a.kr/?x&y\n[2] https://a.kr/p.png";
    assert_eq!(lay_out(html, true, "사진"), text);
    assert_eq!(lay_out(html, false, "사진"), "신청, https://b.kr/, 다시 [사진]");
}
