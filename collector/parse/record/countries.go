package record

import "strings"

// CountryCode is the ISO 3166-1 alpha-2 code of a country's common English
// name in any case, or "" when it is not known here. Some products log names.
func CountryCode(name string) string {
	if len(name) < 4 || len(name) > 40 {
		return ""
	}
	name = strings.ToLower(name)
	for _, c := range [...]string{name, strings.TrimPrefix(name, "the ")} {
		i := strings.Index(countryNames, "|"+c+"=")
		if i >= 0 && strings.IndexByte(c, '=') < 0 {
			i += len(c) + 2
			return countryNames[i : i+2]
		}
	}
	return ""
}

const countryNames = "|afghanistan=AF|albania=AL|algeria=DZ|andorra=AD|angola=AO|argentina=AR|armenia=AM|australia=AU|austria=AT|azerbaijan=AZ" +
	"|bahamas=BS|bahrain=BH|bangladesh=BD|barbados=BB|belarus=BY|belgium=BE|belize=BZ|benin=BJ|bhutan=BT|bolivia=BO|bosnia and herzegovina=BA" +
	"|botswana=BW|brazil=BR|brunei=BN|bulgaria=BG|burkina faso=BF|burundi=BI|cambodia=KH|cameroon=CM|canada=CA|cape verde=CV|chad=TD|chile=CL" +
	"|china=CN|colombia=CO|congo=CG|costa rica=CR|croatia=HR|cuba=CU|cyprus=CY|czech republic=CZ|czechia=CZ|denmark=DK|djibouti=DJ" +
	"|dominican republic=DO|ecuador=EC|egypt=EG|el salvador=SV|eritrea=ER|estonia=EE|eswatini=SZ|ethiopia=ET|fiji=FJ|finland=FI|france=FR" +
	"|gabon=GA|gambia=GM|georgia=GE|germany=DE|ghana=GH|gibraltar=GI|greece=GR|greenland=GL|guatemala=GT|guinea=GN|guyana=GY|haiti=HT" +
	"|honduras=HN|hong kong=HK|hungary=HU|iceland=IS|india=IN|indonesia=ID|iran=IR|iran, islamic republic of=IR|iraq=IQ|ireland=IE|israel=IL" +
	"|italy=IT|ivory coast=CI|jamaica=JM|japan=JP|jersey=JE|jordan=JO|kazakhstan=KZ|kenya=KE|kosovo=XK|kuwait=KW|kyrgyzstan=KG|laos=LA|latvia=LV" +
	"|lebanon=LB|lesotho=LS|liberia=LR|libya=LY|liechtenstein=LI|lithuania=LT|luxembourg=LU|macao=MO|madagascar=MG|malawi=MW|malaysia=MY" +
	"|maldives=MV|mali=ML|malta=MT|mauritania=MR|mauritius=MU|mexico=MX|moldova=MD|monaco=MC|mongolia=MN|montenegro=ME|morocco=MA|mozambique=MZ" +
	"|myanmar=MM|namibia=NA|nepal=NP|netherlands=NL|new zealand=NZ|nicaragua=NI|niger=NE|nigeria=NG|north korea=KP|north macedonia=MK|norway=NO" +
	"|oman=OM|pakistan=PK|palestine=PS|panama=PA|papua new guinea=PG|paraguay=PY|peru=PE|philippines=PH|poland=PL|portugal=PT|puerto rico=PR" +
	"|qatar=QA|romania=RO|russia=RU|russian federation=RU|rwanda=RW|san marino=SM|saudi arabia=SA|senegal=SN|serbia=RS|seychelles=SC" +
	"|sierra leone=SL|singapore=SG|slovakia=SK|slovenia=SI|somalia=SO|south africa=ZA|south korea=KR|korea, republic of=KR|south sudan=SS|spain=ES" +
	"|sri lanka=LK|sudan=SD|suriname=SR|sweden=SE|switzerland=CH|syria=SY|taiwan=TW|tajikistan=TJ|tanzania=TZ|thailand=TH|togo=TG" +
	"|trinidad and tobago=TT|tunisia=TN|turkey=TR|türkiye=TR|turkmenistan=TM|uganda=UG|ukraine=UA|united arab emirates=AE|united kingdom=GB" +
	"|great britain=GB|united states=US|united states of america=US|uruguay=UY|uzbekistan=UZ|vatican city=VA|venezuela=VE|vietnam=VN|viet nam=VN" +
	"|yemen=YE|zambia=ZM|zimbabwe=ZW|"
